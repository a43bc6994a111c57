"""The forms in which commands print what programs read."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

TABLE, WIDE, JSON, YAML = "table", "wide", "json", "yaml"


def add_output_option(parser: argparse.ArgumentParser, forms: Sequence[str] = (TABLE, JSON, YAML)) -> None:
    """The parsed arguments carry `output`: one of `forms`, of which the first is the default."""
    parser.add_argument("-o", "--output", choices=forms, default=forms[0], help=f"default: {forms[0]}")


def print_document(document: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, form: str) -> None:
    """To standard output, as JSON or YAML."""
    if form == JSON:
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        import yaml

        print(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), end="")
