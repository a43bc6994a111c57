"""What the benchmarks share in reporting: the option for JSON, and where it goes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

PRINT = "-"


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", nargs="?", const=PRINT, metavar="FILE", help="write the figures as JSON to FILE, or print them"
    )


def write_json(where: str | None, document: dict[str, Any]) -> None:
    """Prints for "-", writes to any other name, does nothing for None. Figures that are not numbers become null."""
    if where is None:
        return
    text = json.dumps(document, allow_nan=False)
    if where == PRINT:
        print(text)
    else:
        Path(where).write_text(text + "\n", encoding="utf-8")
