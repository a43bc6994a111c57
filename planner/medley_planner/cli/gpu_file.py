"""`--gpu-file`: GPU types that the catalogue lacks, from a file of `GPUType` objects as kubectl applies them.

Reads that file; other kinds in it are passed over.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from medley_planner.bad_input import MISSING
from medley_planner.catalog import CATALOGUE, BadDataSheet, Catalogue, Gpu, UnknownGpu, gpu_of_sheet
from medley_planner.cli.arguments import BadOption
from medley_planner.documents import BadText, yaml_values

_KIND = "GPUType"


def add_gpu_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gpu-file",
        type=Path,
        metavar="FILE.yaml",
        help="GPUType objects: data sheets of GPUs that the catalogue lacks",
    )


def catalogue_of(path: Path | None) -> Catalogue:
    """The catalogue with the file's types; without a file, the built-in one. Raises BadOption and BadDataSheet."""
    if path is None:
        return CATALOGUE
    where = f"--gpu-file {path}"
    try:
        documents = yaml_values(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadOption.whole(where, f"cannot be read ({error.strerror}); give a file of GPUType objects") from None
    except (UnicodeDecodeError, BadText) as error:
        raise BadOption.whole(where, f"{error}; give a file of GPUType objects") from None
    own = tuple(_gpu(where, each) for each in documents if isinstance(each, dict) and each.get("kind") == _KIND)
    if not own:
        raise BadOption.whole(where, "holds no GPUType; give kind, metadata.name and spec of at least one")
    _check_names(where, own)
    return Catalogue(own)


def _gpu(where: str, document: dict[str, Any]) -> Gpu:
    metadata, spec = document.get("metadata"), document.get("spec")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise BadDataSheet(f"{where}: a {_KIND}", "metadata.name", MISSING if name is None else name, "give it a name")
    where = f"{where}: {_KIND} {name}"
    if not isinstance(spec, dict):
        raise BadDataSheet(where, "spec", MISSING if spec is None else spec, "give an object with the data sheet")
    try:
        return gpu_of_sheet(name, spec)
    except BadDataSheet as error:
        raise error.within(where) from None


def _check_names(where: str, own: tuple[Gpu, ...]) -> None:
    """Names of the catalogue stay its own, and no two types share one."""
    for index, row in enumerate(own):
        before = Catalogue(own[:index])
        for name in (row.name, *row.aliases):
            try:
                taken = before.gpu(name)
            except UnknownGpu:
                continue
            raise BadDataSheet(
                f"{where}: {_KIND} {row.name}", "name", name, f"it is a name of {taken.name}; use another"
            )
