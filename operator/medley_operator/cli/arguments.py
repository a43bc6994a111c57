"""Command line arguments that several of the operator's commands take."""

from __future__ import annotations

import argparse


def add_manifest_files(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """`-f FILE...`, as kubectl has it: the parsed arguments carry `filenames`."""
    parser.add_argument(
        "-f",
        "--filename",
        metavar="FILE",
        dest="filenames",
        nargs="+",
        action="extend",
        required=required,
        help="files or folders with the manifests that kubectl applies; - reads standard input",
    )
