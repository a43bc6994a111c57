"""`medley profile run`: load-tests a live endpoint and writes the ModelProfile of the engine behind it.

Standard output is the manifest alone; progress goes to standard error. Exit status: 0 written, 2 bad input or an
endpoint that cannot be tested, 3 nothing measured.

Apart: each subcommand of `medley profile` is a separate module, and this one makes an HTTP client.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import TYPE_CHECKING

from medley_operator.cli.load_arguments import add_load_arguments
from medley_operator.cli.profile_import import add_engine_arguments, check_engine, write_profile
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.profile.report import Imported
from medley_planner.bad_input import BadInput
from medley_planner.exit_status import ExitStatus, report_error

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

TOOL = "medley"


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "run",
        help="load-test a live endpoint",
        description="Load-test one replica behind an OpenAI-compatible endpoint and write its ModelProfile: streamed "
        "completions of exact lengths, distinct prompts, each size under each load, warm-up left out. Nothing else "
        "should use the replica meanwhile. Exit status: 0 written, 2 bad input or no such endpoint, 3 nothing "
        "measured.",
    )
    add_load_arguments(parser)
    add_engine_arguments(parser)
    parser.set_defaults(profile_run=run)


def run(arguments: argparse.Namespace) -> int:
    from medley_operator.cli.profile_measure import measure_as_asked
    from medley_operator.profile.client import EndpointError

    try:
        # Before half an hour of measuring, not after it.
        check_engine(arguments)
        session = asyncio.run(measure_as_asked(arguments))
        points = session.points()
        if not points:
            said = "no load was measured completely (see above), so no profile was written"
            return report_error("profile run", said, status=ExitStatus.NOT_ALL)
        arguments.kv_tokens = arguments.kv_tokens or session.kv_tokens
        write_profile(arguments, Imported(tuple(points), (), measured_at=utc_text(time.time())), tool=TOOL)
    except (EndpointError, BadInput, OSError) as error:
        return report_error("profile run", error)
    return ExitStatus.OK
