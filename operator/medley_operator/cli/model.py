"""`medley model show|import`: prints the sizes that a checkpoint's files say, and the YAML of `spec.model` for it.

Reads a folder or a file, or, where an address is given, a hub by range requests; writes to standard output. A token is
sent only where `--token-env` names its variable. Exit status: 0 read, 2 bad input or an architecture that is not known
(`import` then writes `spec.model.capacity` with what the files say, and exits with 3).
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.cli.arguments import BadOption, seconds_argument, whole_argument
from medley_planner.cli.gpu_file import add_gpu_file, catalogue_of
from medley_planner.cli.output import add_output_option
from medley_planner.exit_status import ExitStatus, report_error

if TYPE_CHECKING:
    from medley_operator.checkpoint.read import ReadCheckpoint

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_TIMEOUT_SECONDS = 300.0


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "model",
        help="read a checkpoint's sizes, for any model",
        description="Read config.json and the headers of safetensors files: of a folder, of one file, or of a hub by "
        "HTTP range requests.",
    )
    ways = parser.add_subparsers(required=True, metavar="WAY")
    show = ways.add_parser(
        "show",
        help="print weights, KV cache and where the model fits",
        description="Print layers, parameters, bytes by format, KV bytes per token and where the model fits. Exit "
        "status: 0 read, 2 bad input or an architecture that Medley does not know.",
    )
    add_output_option(show)
    show.add_argument(
        "--max-model-len",
        type=whole_argument,
        metavar="TOKENS",
        help="longest sequence that must fit; default: 16384, or the model's own positions",
    )
    add_gpu_file(show)
    show.set_defaults(model_run=_show)
    write = ways.add_parser(
        "import",
        help="print the YAML of spec.model",
        description="Print spec.model of an LLMService: configJson and weightBytes, or, for an architecture that "
        "Medley does not know, weightBytes and capacity, to be checked. Exit status: 0 written, 2 bad input, 3 "
        "written with sizes to check.",
    )
    write.add_argument(
        "--uri", help="spec.model.uri; default: that of a hub's address, else it is left for you to fill in"
    )
    write.set_defaults(model_run=_import)
    for each in (show, write):
        each.add_argument(
            "source",
            metavar="PATH|URL",
            help="folder, config.json or safetensors file; hf://organisation/model, or https:// address of a folder",
        )
        each.add_argument("--token-env", metavar="NAME", help="variable with your token for the hub; default: none")
        each.add_argument(
            "--timeout",
            type=seconds_argument,
            metavar="SECONDS",
            default=_TIMEOUT_SECONDS,
            help=f"for an address, seconds for all files; default: {_TIMEOUT_SECONDS:.0f}",
        )


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit status of the subcommand."""
    try:
        return cast(int, arguments.model_run(arguments, _read(arguments)))
    except BadInput as error:
        return report_error("model", error)


def _show(arguments: argparse.Namespace, read: ReadCheckpoint) -> int:
    from medley_operator.cli.model_report import print_report, report_of

    if isinstance(read.shape, BadInput):
        raise read.shape
    report = report_of(
        read, read.shape, max_model_len=arguments.max_model_len, catalogue=catalogue_of(arguments.gpu_file)
    )
    print_report(report, arguments.output)
    return ExitStatus.OK


def _import(arguments: argparse.Namespace, read: ReadCheckpoint) -> int:
    from medley_operator.cli.model_manifest import print_known, print_unknown

    uri = arguments.uri or _uri(arguments.source)
    if not isinstance(read.shape, BadInput):
        print_known(read, uri=uri)
        return ExitStatus.OK
    if read.weights is None:
        raise read.shape
    print_unknown(read, read.weights, uri=uri, why=read.shape)
    return ExitStatus.NOT_ALL


def _read(arguments: argparse.Namespace) -> ReadCheckpoint:
    from medley_operator.checkpoint.files import LocalFiles
    from medley_operator.checkpoint.hub import HubFiles, folder_of, http_client, is_address
    from medley_operator.checkpoint.read import read_checkpoint

    if not is_address(arguments.source):
        return read_checkpoint(LocalFiles(Path(arguments.source)))
    token = _token(arguments.token_env)
    with http_client() as client:
        ends_at = time.monotonic() + arguments.timeout
        files = HubFiles(folder_of(arguments.source), client, time.monotonic, ends_at, token)
        return read_checkpoint(files, name=_uri(arguments.source).removeprefix("hf://") or None)


def _token(variable: str | None) -> str | None:
    if variable is None:
        return None
    token = os.environ.get(variable, "").strip()
    if not token or not token.isascii() or not token.isprintable():
        shown: Any = MISSING if not token else "not a token"
        raise BadOption(
            "", f"--token-env {variable}", shown, "set that variable to your token, or leave the option out"
        )
    return token


def _uri(source: str) -> str:
    return source.partition("@")[0] if source.startswith("hf://") else ""
