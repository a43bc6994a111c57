"""`medley replay -f FILE...`: the whole loop replayed in fast time, beside other policies on the same arrivals.

No cluster is read. The operator's own rounds and passes run in a simulated world; the table, JSON or page says what was
attained, and what it cost as billed. Exit status: 0 replayed, 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medley_operator.cli.arguments import add_html_option, add_manifest_files, write_html
from medley_operator.cli.tables import add_table_options, with_tables
from medley_planner.bad_input import BadInput
from medley_planner.cli.arguments import BadOption, duration_argument, positive_argument, whole_argument
from medley_planner.cli.output import TABLE, add_output_option, print_document
from medley_planner.exit_status import ExitStatus, report_error

if TYPE_CHECKING:
    from medley_operator.replay.operator_loop import Tables
    from medley_operator.replay.scenario import Scenario

POLICY_NAMES = ("medley", "static", "hpa", "llm-d", "slices", "clairvoyant")


def add_parser(subparsers: Any) -> None:
    """Adds the `replay` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser(
        "replay",
        help="replay a day of the whole loop in fast time, beside other policies",
        description="Replay arrivals through the operator's own loop in a simulated world, without a cluster: "
        "attainment by hour, cost as billed, replicas and changes, beside a static fleet, an HPA, llm-d's control "
        "law and the cheapest fleets with the whole load known, on the same arrivals. Exit status: 0 replayed, 2 bad "
        "input.",
    )
    add_manifest_files(parser, required=True)
    add = parser.add_argument
    add(
        "--trace", action="append", default=[], metavar="[SERVICE=]FILE",
        help="requests of a service: CSV, JSON lines or JSON, as `medley simulate` reads them",
    )  # fmt: skip
    add(
        "--load", action="append", default=[], metavar="[SERVICE=]KIND:RATExTIME",
        help="arrivals that are made up: constant:5x1h, steps:2x330s,4x360s, ramp:1-8x1h, diurnal:2-10x24h, "
        "spike:2-10x1h; with --trace too, sizes are drawn from the trace",
    )  # fmt: skip
    add(
        "--sizes", action="append", default=[], metavar="[SERVICE=]PxG[-PxG]",
        help="prompt x generation tokens of --load, as in 500x150, or from first to last as in 500x150-4000x300",
    )  # fmt: skip
    add("--spread", type=_share, default=0.0, help="standard deviation of the sizes' logarithms; default: 0")
    add("--noise", type=_share, default=0.0, help="standard deviation of the rate's logarithm, by minute; default: 0")
    add(
        "--arrivals", choices=("poisson", "even"), default="poisson",
        help="even: at equal distances, as load generators send; default: poisson",
    )  # fmt: skip
    add(
        "--policy", dest="policies", type=_policies, default=POLICY_NAMES, metavar="NAME,...",
        help=f"what is replayed; default: {','.join(POLICY_NAMES)}",
    )  # fmt: skip
    add(
        "--startup", type=_startups, default={"": 120.0}, metavar="[POOL=]DURATION,...",
        help="from a pod with a node to Ready, in the median, in all pools or in one, such as 1m,h100=10m; default: 2m",
    )  # fmt: skip
    add("--startup-spread", type=_share, default=0.1, help="standard deviation of its logarithm; default: 0.1")
    add(
        "--node-time", type=duration_argument, default=0.0, metavar="DURATION",
        help="to make a node of an elastic pool; default: none",
    )  # fmt: skip
    add(
        "--step-factor", type=_factors, default={}, metavar="GPU=X,...",
        help="how many times as long an engine step truly takes as the data sheet says, such as H100=1.2; unknown to "
        "the planner",
    )  # fmt: skip
    add(
        "--calibration", choices=("on", "off"), default="on",
        help="whether the operator learns step times from the engines' counters; default: on",
    )  # fmt: skip
    add(
        "--fault", action="append", default=[], metavar="FAULT",
        help="out-of-stock:POOL@1h+1h, prometheus@2h+20m, crash:POOL@30m:0.5, reclaim:POOL@2h:0.5, price:POOL@6h:9.5",
    )  # fmt: skip
    add("--seed", type=int, default=0, help="draws all that is left to chance; default: 0")
    add_output_option(parser)
    add(
        "--sweep", action="append", default=[], metavar="FIELD=V,V,...",
        help="replay Medley alone with each value of a field of spec, as scaling.headroomPercent=0,5,10; several give "
        "all combinations",
    )  # fmt: skip
    add("--workers", type=whole_argument, default=2, help="processes of --sweep; default: 2")
    add_html_option(parser)
    add_table_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    try:
        report = _report(args)
        _write_page(report, args.html)
    except BadInput as error:
        return report_error("replay", error)
    if args.output != TABLE:
        print_document(report, form=args.output)
    else:
        from medley_operator.cli.replay_table import print_replay, print_sweep

        (print_sweep if "candidates" in report else print_replay)(report)
    return ExitStatus.OK


def _report(args: argparse.Namespace) -> dict[str, Any]:
    from medley_operator.cli.manifests import read_objects
    from medley_operator.cli.replay_scenario import scenario_of
    from medley_operator.replay.bad_replay import LeftOut
    from medley_operator.replay.baselines.single import planned_with
    from medley_operator.replay.policies import POLICIES, Replay
    from medley_operator.replay.report import summarise

    scenario = scenario_of(read_objects(args.filenames), args)
    snapshot = planned_with(scenario, {}, scenario.first_demands())
    tables = with_tables(snapshot, directory=args.cache_dir, simulate=args.simulate).capacity_tables
    if args.sweep:
        return _swept(scenario, tables, args)
    outcomes, left_out = [], []
    with _progress() as told:
        replay = Replay(scenario, tables, progress=told)
        for name in args.policies:
            try:
                outcomes.append(POLICIES[name](replay))
            except LeftOut as error:
                left_out.append(error)
    return summarise(scenario, outcomes, left_out)


def _swept(scenario: Scenario, tables: Tables, args: argparse.Namespace) -> dict[str, Any]:
    from medley_operator.cli.replay_scenario import parsed
    from medley_operator.replay.report import summarise_sweep
    from medley_operator.replay.sweep import candidates, sweep, swept_field

    asked = candidates(scenario, [parsed("--sweep", text, swept_field) for text in args.sweep])
    found = []
    for number, each in enumerate(sweep(asked, tables, workers=args.workers), start=1):
        found.append(each)
        if sys.stderr.isatty():
            print(f"replayed {number}/{len(asked)}", file=sys.stderr)
    return summarise_sweep(scenario, found)


def _write_page(report: dict[str, Any], file: Path | None) -> None:
    from medley_operator.replay.page import page

    if file is None:
        return
    if "candidates" in report:
        raise BadOption("", "--html", str(file), "it does not go with --sweep; leave one of them out")
    write_html(file, page(report))


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None] | None]:
    """A bar for each policy on standard error, where a person looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def told(name: str, share: float) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=1.0)
            bar.update(tasks[name], completed=share)

        yield told


def _share(text: str) -> float:
    value = float(text) if text.replace(".", "", 1).isdecimal() else -1.0
    if not 0.0 <= value <= 2.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 2")
    return value


def _startups(text: str) -> dict[str, float]:
    """Durations by pool; that of all others is at ""."""
    parts = [part.strip().rpartition("=") for part in text.split(",")]
    return {"": 120.0} | {pool: duration_argument(duration) for pool, _, duration in parts}


def _factors(text: str) -> dict[str, float]:
    from medley_planner.catalog import gpu

    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"{part!r} in {text!r} is not of the form GPU=NUMBER")
        try:
            found[gpu(name.strip()).name] = positive_argument(value.strip())
        except BadInput as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return found


def _policies(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    unknown = [name for name in names if name not in POLICY_NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not a policy; choose from {', '.join(POLICY_NAMES)}")
    return names
