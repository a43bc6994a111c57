"""One protocol for the files of a checkpoint, and the folder that keeps it. Reads files, writes nothing.

Only beginnings of weight files are read, so a checkpoint of any size takes as much memory as its headers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from medley_planner.bad_input import BadInput

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
SUFFIX = ".safetensors"
MOST_TEXT_BYTES = 64_000_000
"""The largest indices of today have a seventh of it."""
MOST_FILES = 4096


class CheckpointFiles(Protocol):
    """The files of one checkpoint. `label` is what messages call it."""

    @property
    def label(self) -> str: ...

    def weight_files(self) -> tuple[str, ...] | None:
        """Names of its safetensors files where that is known without their index; None: look for the index."""
        ...

    def beginning(self, name: str, size: int, *, start: int = 0) -> bytes | None:
        """At most `size` bytes from `start` on; None where there is no such file. Raises BadInput."""
        ...

    def text(self, name: str) -> str | None:
        """The whole file; None where there is none. Raises BadInput."""
        ...


class LocalFiles:
    """A folder, a config.json alone, or one safetensors file with the config.json beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = path if path.is_dir() else path.parent
        if not path.exists():
            raise BadInput.whole(
                str(path),
                "there is no such file or folder; give the folder of a checkpoint, or hf://organisation/model",
            )

    @property
    def label(self) -> str:
        return str(self._path)

    def weight_files(self) -> tuple[str, ...] | None:
        if self._path.is_dir():
            if (self._folder / INDEX).is_file():
                return None
            found = sorted(entry.name for entry in self._folder.glob(f"*{SUFFIX}"))
            return tuple(found[: MOST_FILES + 1])
        return (self._path.name,) if self._path.suffix == SUFFIX else ()

    def beginning(self, name: str, size: int, *, start: int = 0) -> bytes | None:
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(start)
                return file.read(size)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadInput.whole(str(self._folder / name), f"cannot be read ({error.strerror})") from None

    def text(self, name: str) -> str | None:
        own = self._path.suffix == ".json" and name == CONFIG
        read = self.beginning(self._path.name if own else name, MOST_TEXT_BYTES + 1)
        return None if read is None else as_text(f"{self._folder / name}", read)


def as_text(file: str, read: bytes) -> str:
    """Raises BadInput for what is too long or no text."""
    if len(read) > MOST_TEXT_BYTES:
        raise BadInput.whole(file, f"is larger than {MOST_TEXT_BYTES // 1_000_000} MB; it is not what its name says")
    try:
        return read.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput.whole(file, "is not UTF-8 text; give the file as the model's page has it") from None
