"""Simulated capacity tables on disk, one small JSON file each, named by the digest of all that the table follows from.

Commands and the operator share them. A file that is damaged, of another format or was written by something else counts
as absent and is written anew. Files appear whole or not at all, so several processes may use one directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medley_planner.capacity import GridRatios, TableKey
from medley_planner.capacity.row import LEAST_RPS
from medley_planner.capacity.table_key import FORMAT
from medley_planner.workload.grid import standard_buckets

SUFFIX = ".capacity.json"
MOST_RPS = 1e6
"""Largest rate of one replica in a stored table; a larger figure did not come from the simulator."""
MOST_FILES = 8192
"""The oldest beyond these are removed: at 4 KiB each, 32 MiB."""


def default_directory(environment: Mapping[str, str]) -> Path:
    """`$XDG_CACHE_HOME/medley/capacity`, else `~/.cache/medley/capacity`; without a home, below the temporary files."""
    home = environment.get("HOME")
    base = environment.get("XDG_CACHE_HOME") or (os.path.join(home, ".cache") if home else tempfile.gettempdir())
    return Path(base) / "medley" / "capacity"


@dataclass(frozen=True, slots=True)
class TableCache:
    """`directory` is made where it is missing."""

    directory: Path

    def get(self, key: TableKey) -> GridRatios | None:
        """The table, or None where there is no sound file of it. Raises nothing for what a file may hold."""
        document = self._load(key.digest())
        buckets = len(standard_buckets())
        simulated, closed = _rates(document, "simulated_rps", buckets), _rates(document, "closed_form_rps", buckets)
        if simulated is None or closed is None:
            return None
        return GridRatios(key=key, simulated_rps=simulated, closed_form_rps=closed)

    def put(self, table: GridRatios) -> None:
        """Raises OSError where the directory cannot be written."""
        rates = {"simulated_rps": table.simulated_rps, "closed_form_rps": table.closed_form_rps}
        self._store(table.key.digest(), {"what": table.key.words, **rates})

    def get_rate(self, key: TableKey, *, prompt_tokens: int, generation_tokens: int) -> float | None:
        """The simulated rate of one size, which need not be one of the table's; None as in `get`."""
        found = _rates(self._load(_cell_digest(key, prompt_tokens, generation_tokens)), "simulated_rps", 1)
        return found[0] if found is not None else None

    def put_rate(self, key: TableKey, rate_rps: float, *, prompt_tokens: int, generation_tokens: int) -> None:
        """Raises OSError where the directory cannot be written."""
        what = f"{key.words}, {prompt_tokens} + {generation_tokens} tokens"
        self._store(_cell_digest(key, prompt_tokens, generation_tokens), {"what": what, "simulated_rps": [rate_rps]})

    def _load(self, digest: str) -> dict[str, Any]:
        """The content of the file of that digest; empty where there is no sound one."""
        try:
            document = json.loads(self._path(digest).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        sound = isinstance(document, dict) and (document.get("format"), document.get("digest")) == (FORMAT, digest)
        return document if sound else {}

    def _store(self, digest: str, content: dict[str, Any]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        document = {"format": FORMAT, "digest": digest, **content}
        with tempfile.NamedTemporaryFile(
            "w", dir=self.directory, prefix=".", suffix=".part", encoding="utf-8", delete=False
        ) as file:
            try:
                json.dump(document, file)
                file.close()
                os.replace(file.name, self._path(digest))
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(file.name)
                raise
        self._forget_oldest()

    def _path(self, digest: str) -> Path:
        return self.directory / f"{digest}{SUFFIX}"

    def _forget_oldest(self) -> None:
        files = list(self.directory.glob(f"*{SUFFIX}"))
        if len(files) <= MOST_FILES:
            return
        with contextlib.suppress(OSError):  # another process may tidy up too
            files.sort(key=lambda path: path.stat().st_mtime)
            for path in files[: len(files) - MOST_FILES]:
                path.unlink(missing_ok=True)


def _cell_digest(key: TableKey, prompt_tokens: int, generation_tokens: int) -> str:
    return hashlib.sha256(f"{key.digest()} {prompt_tokens} {generation_tokens}".encode()).hexdigest()


def _rates(document: dict[str, Any], name: str, count: int) -> tuple[float, ...] | None:
    """`count` rates, each 0 or within `LEAST_RPS` and `MOST_RPS`; None for anything else."""
    value = document.get(name)
    if not isinstance(value, list) or len(value) != count:
        return None
    if not all(type(rate) in (int, float) and (rate == 0 or LEAST_RPS <= rate <= MOST_RPS) for rate in value):
        return None
    return tuple(float(rate) for rate in value)
