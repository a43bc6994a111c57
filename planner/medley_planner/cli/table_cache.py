"""Simulated capacity tables on disk, one small JSON file each, named by the digest of all that the table follows from.

The only place that reads or writes them; commands and the operator share it. A file that is damaged or was written by
something else counts as absent and is written anew. Files appear whole or not at all, so several processes may use one
directory.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medley_planner.capacity import GridRatios, TableKey
from medley_planner.workload.grid import standard_buckets

SUFFIX = ".capacity.json"
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
        digest = key.digest()
        try:
            document = json.loads(self._path(digest).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(document, dict) or document.get("digest") != digest:
            return None
        simulated, closed = _rates(document.get("simulated_rps")), _rates(document.get("closed_form_rps"))
        if simulated is None or closed is None:
            return None
        return GridRatios(key=key, simulated_rps=simulated, closed_form_rps=closed)

    def put(self, table: GridRatios) -> None:
        """Raises OSError where the directory cannot be written."""
        self.directory.mkdir(parents=True, exist_ok=True)
        digest = table.key.digest()
        key = table.key
        document = {
            "digest": digest,
            "what": f"{key.group.shape.name} on {key.tensor_parallel} x {key.gpu.name}, {key.precision}",
            "simulated_rps": table.simulated_rps,
            "closed_form_rps": table.closed_form_rps,
        }
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


def _rates(value: Any) -> tuple[float, ...] | None:
    """As many finite rates as there are standard buckets, 0 or more; None for anything else."""
    if not isinstance(value, list) or len(value) != len(standard_buckets()):
        return None
    if not all(type(rate) in (int, float) and math.isfinite(rate) and rate >= 0.0 for rate in value):
        return None
    return tuple(float(rate) for rate in value)
