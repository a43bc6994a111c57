"""The common parts of the benchmarks as commands: their parser with its option for JSON, and where that goes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

PRINT = "-"


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """With `--json`, and the first line of the script's docstring as description."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0] if doc else None)
    parser.add_argument(
        "--json", nargs="?", const=PRINT, metavar="FILE", help="write the figures as JSON to FILE, or print them"
    )
    return parser


def write_json(where: str | None, document: dict[str, Any]) -> None:
    """Prints for "-", writes to any other name, does nothing for None. Figures that are not numbers become null."""
    if where is None:
        return
    text = json.dumps(document, allow_nan=False)
    if where == PRINT:
        print(text)
    else:
        Path(where).write_text(text + "\n", encoding="utf-8")
