"""Folders of generated files that are committed: written by `make`, compared by `make lint`."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GeneratedFolder:
    """`documents`: text by file name. Other files that match `pattern` are stale. `folder`: where they are by default;
    `target`: of make, which writes them."""

    description: str
    documents: Mapping[str, str]
    pattern: str
    folder: Path
    target: str

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Writes or compares the files; returns the exit status: 1 where `--check` finds a difference."""
        parser = argparse.ArgumentParser(description=self.description)
        parser.add_argument("--output", type=Path, default=self.folder, help="folder (default: %(default)s)")
        parser.add_argument(
            "--check", action="store_true", help="write nothing; exit 1 with the diff where files differ"
        )
        options = parser.parse_args(arguments)
        if options.check:
            return self._check(options.output)
        self._write(options.output)
        return 0

    def _check(self, folder: Path) -> int:
        there = {path.name: path.read_text() for path in folder.glob(self.pattern)} if folder.is_dir() else {}
        lines: list[str] = []
        for name in sorted(there.keys() | self.documents.keys()):
            old, new = there.get(name, "").splitlines(), self.documents.get(name, "").splitlines()
            lines += difflib.unified_diff(old, new, f"{folder / name}", f"{name} (generated)", lineterm="")
        if lines:
            sys.stdout.write(
                "\n".join([*lines, f"{folder} differs from what is generated; run make {self.target}", ""])
            )
        return 1 if lines else 0

    def _write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(self.pattern):
            if stale.name not in self.documents:
                stale.unlink()
        for name, text in self.documents.items():
            (folder / name).write_text(text)
