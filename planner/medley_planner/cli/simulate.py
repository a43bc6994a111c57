"""`medley simulate`: a trace of requests served by simulated engines on a fleet of your choice, behind its router.

Reads a trace and perhaps a config.json, writes to standard output; progress and what is wrong with the input go to
standard error. Exit status: 0 simulated, 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medley_planner.bad_input import BadInput
from medley_planner.capacity import LatencyTargets
from medley_planner.cli.arguments import (
    BadOption,
    duration_argument,
    model_argument,
    percentile_argument,
    positive_argument,
    ratio_argument,
    whole_argument,
)
from medley_planner.cli.gpu_file import add_gpu_file, catalogue_of
from medley_planner.cli.output import TABLE, add_output_option, print_document
from medley_planner.cli.simulate_report import ServedTrace, print_table, summarise
from medley_planner.cli.trace_file import MOST_SECONDS, TracePart, read_requests
from medley_planner.cli.trace_times import TimeUnit
from medley_planner.engine import Balance, Routing, Trace
from medley_planner.exit_status import ExitStatus, report_error
from medley_planner.model import RoutingMode
from medley_planner.shapes import ModelShape, Precision

MOST_FIGURE = 1e9
"""Largest weight, price and scale of the rate; its inverse is the least."""
MOST_DRAFTS = 64
USUAL_ACCEPTANCE = 0.7
"""About what multi-token prediction layers reach on text; measured rates differ by model and text, from 0.5 to 0.9."""
SHOWN_FROM_REQUESTS = 20_000
"""Fewer take about a second, and a bar would only flash up."""
_ROUTERS = tuple(mode for mode in RoutingMode if not mode.oracle)


def add_parser(subparsers: Any) -> None:
    """Adds the `simulate` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser(
        "simulate",
        help="serve a trace on simulated engines: attainment, latency, utilisation, cost",
        description="Serve a trace of requests on simulated engines of a fleet, without a cluster: attainment, TTFT, "
        "TPOT and end-to-end percentiles by GPU type, utilisation, cost. The trace is a CSV of arrival seconds, "
        "prompt and generation tokens; the Azure CSV, Mooncake's JSON lines and the detailed JSON of `vllm bench "
        "serve` are recognised. Engines run at data-sheet speed. Exit status: 0 simulated, 2 bad input.",
    )
    add = parser.add_argument
    add("--model", required=True, metavar="NAME|config.json", help="a bundled model, or the path of a config.json")
    add("--fleet", required=True, type=_counts, metavar="GPU=N,...", help="replicas by GPU type, such as l4=3,h100=1")
    add("--trace", required=True, type=Path, metavar="FILE", help="the requests: CSV, JSON lines or JSON")
    add("--tensor-parallel", type=_counts, default={}, metavar="GPU=N,...", help="GPUs of a replica; default: 1")
    add(
        "--routing",
        choices=[mode.value for mode in _ROUTERS],
        default="HTTPRoute",
        help="Service: any replica; HTTPRoute: weights; InferencePool: shares by prompt length; default: HTTPRoute",
    )
    add(
        "--weights",
        type=_figures,
        metavar="GPU=W,...",
        help="weights of an HTTPRoute; default: the shares at which the fleet carries the most of the trace's sizes",
    )
    add(
        "--balance",
        choices=[balance.value for balance in Balance],
        default=Balance.RANDOM.value,
        help="how the router chooses one of several pods; default: Random, as a Service does",
    )
    add("--slo-ttft", type=duration_argument, default=1.0, metavar="DURATION", help="target; default: 1s")
    add("--slo-tpot", type=duration_argument, default=0.05, metavar="DURATION", help="target; default: 50ms")
    add(
        "--percentile",
        type=percentile_argument,
        default=95.0,
        help="percentile of requests that must meet both targets; default: 95",
    )
    add(
        "--from",
        dest="from_",
        type=duration_argument,
        default=0.0,
        metavar="DURATION",
        help="leave out what arrives before",
    )
    add("--to", type=duration_argument, metavar="DURATION", help="leave out what arrives then or later")
    add("--sample", type=ratio_argument, default=1.0, metavar="SHARE", help="serve a random share of the requests")
    add(
        "--time-unit",
        choices=[unit.value for unit in TimeUnit],
        help="of numbers as arrivals; default: as the form of the file says",
    )
    add("--rate-scale", type=_figure, default=1.0, metavar="X", help="serve X times the trace's rate")
    add("--precision", type=str.upper, choices=[p.value for p in Precision], help="default: the checkpoint's")
    add("--token-budget", type=whole_argument, default=2048, help="max-num-batched-tokens; default: 2048")
    add("--max-sequences", type=whole_argument, default=256, help="max-num-seqs; default: 256")
    add(
        "--max-model-len",
        type=whole_argument,
        metavar="TOKENS",
        help="longest request in tokens; longer ones are cut to it; default: the longest of the trace, or the model's "
        "number of positions",
    )
    add(
        "--prefix-hit-rate",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="share of each prompt that the prefix cache has; default: 0",
    )
    add(
        "--draft-tokens",
        type=_count,
        default=0,
        metavar="N",
        help="tokens that are guessed for each sequence and step (speculative decoding); default: 0",
    )
    add(
        "--acceptance",
        type=_share,
        metavar="SHARE",
        help="with --draft-tokens: probability that a guessed token is right where those before it are; default: 0.7",
    )
    add("--price", type=_figures, default={}, metavar="GPU=$,...", help="US dollars per GPU-hour, such as l4=0.8")
    add_gpu_file(parser)
    add("--seed", type=_seed, default=0, help="seed of the router's random choices; default: 0")
    add_output_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    try:
        report = _report(args)
    except BadInput as error:
        return report_error("simulate", error)
    if "failed_in_trace" in report:
        print(f"note: {report['failed_in_trace']} requests of the trace failed and are left out", file=sys.stderr)
    if args.output == TABLE:
        print_table(report)
    else:
        print_document(report, form=args.output)
    return ExitStatus.OK


def _report(args: argparse.Namespace) -> dict[str, Any]:
    # The planner is needed for the weights alone, and takes half a second to load.
    from medley_planner.cli.simulate_fleet import Shortcuts, balanced_router, fleet_of, groups_of, weighted_router
    from medley_planner.engine import simulate

    shape = model_argument(args.model)
    unit = None if args.time_unit is None else TimeUnit(args.time_unit)
    read = read_requests(args.trace, TracePart(args.from_, args.to, args.sample, args.seed, unit))
    trace = read.trace
    trace = Trace(trace.arrival_seconds / args.rate_scale, trace.prompt_tokens, trace.generation_tokens)
    if trace.arrival_seconds[-1] > MOST_SECONDS:
        seconds = trace.arrival_seconds[-1]
        way_out = f"it spreads the trace over {seconds:g} s, more than {MOST_SECONDS:g} s; give a larger one"
        raise BadOption("", "--rate-scale", args.rate_scale, way_out)
    if args.max_model_len == 1:
        raise BadOption("", "--max-model-len", 1, "it has no room for a prompt and a generated token; give at least 2")
    unpriced = sorted(args.price.keys() - args.fleet.keys())
    if unpriced:
        raise BadOption(
            "", "--price", args.price, f"it names {unpriced[0]}, which is not in --fleet; add it or remove it"
        )
    groups = groups_of(
        shape,
        args.fleet,
        args.tensor_parallel,
        precision=Precision(args.precision) if args.precision else shape.precision,
        token_budget=args.token_budget,
        max_sequences=args.max_sequences,
        max_model_len=args.max_model_len or _longest(trace, shape),
        catalogue=catalogue_of(args.gpu_file),
    )
    if args.acceptance is not None and not args.draft_tokens:
        raise BadOption("", "--acceptance", args.acceptance, "no tokens are guessed; give --draft-tokens too")
    acceptance = USUAL_ACCEPTANCE if args.acceptance is None else args.acceptance
    shortcuts = Shortcuts(args.prefix_hit_rate, args.draft_tokens, acceptance)
    targets = LatencyTargets(args.slo_ttft, args.slo_tpot, args.percentile)
    mode, balance = RoutingMode(args.routing), Balance(args.balance)
    routing: Routing = (
        weighted_router(groups, mode, args.weights, balance=balance)
        if args.weights is not None
        else balanced_router(groups, mode, trace, targets, balance=balance)
    )
    with _progress(len(trace)) as advance:
        outcome = simulate(trace, fleet_of(groups, shortcuts), routing, seed=args.seed, progress=advance)
    report = summarise(ServedTrace(groups, mode, routing, targets, outcome, args.price))
    return report | ({"failed_in_trace": read.failed} if read.failed else {})


def _longest(trace: Trace, shape: ModelShape) -> int:
    longest = max(int((trace.prompt_tokens + trace.generation_tokens).max()), 2)
    return min(longest, shape.max_position) if shape.max_position is not None else longest


@contextmanager
def _progress(requests: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on standard error, where a person looks and the run is long."""
    if requests < SHOWN_FROM_REQUESTS or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("requests served", total=requests)
        yield lambda count: bar.advance(task, count)


def _counts(text: str) -> dict[str, int]:
    return {name: whole_argument(value) for name, value in _pairs(text)}


def _figures(text: str) -> dict[str, float]:
    return {name: _figure(value) for name, value in _pairs(text)}


def _figure(text: str) -> float:
    value = positive_argument(text)
    if not 1 / MOST_FIGURE <= value <= MOST_FIGURE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {1 / MOST_FIGURE:g} to {MOST_FIGURE:g}")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1")
    return value


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) <= MOST_DRAFTS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MOST_DRAFTS}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise argparse.ArgumentTypeError(f"{part!r} in {text!r} is not of the form GPU=NUMBER")
        pairs.append((name.strip().lower(), value.strip()))
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise argparse.ArgumentTypeError(f"{text!r} has {twice} twice; give it once")
    return pairs
