"""`medley power`: `simulate` runs a row of GPU servers under the capping policy for days or weeks, without a cluster.

Writes to standard output; what is wrong with the options goes to standard error. Exit status: 0 simulated (also if the
brake acted), 2 bad input.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from medley_planner.bad_input import BadInput
from medley_planner.cli.arguments import BadOption, duration_argument, whole_argument
from medley_planner.cli.output import TABLE, add_output_option, print_document
from medley_planner.exit_status import ExitStatus, report_error
from medley_planner.power import DEFAULT_PRESET, PRESETS, Ladder
from medley_planner.refusal import Refusal

if TYPE_CHECKING:
    from medley_planner.power.simulate import Control, RowOutcome

NO_PRESET = "none"
MOST_DAYS = 42
MOST_SEEDS = 20
MOST_TELEMETRY_SECONDS = 60
LEAST_CURTAILED_PERCENT = 60.0
MOST_ADDED_PERCENT = 100.0
MOST_OUTAGES = 24


def add_parser(subparsers: Any) -> None:
    """Adds the `power` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser(
        "power",
        help="simulate power budgets and capping",
        description="Power budgets and capping. Nothing here changes a cluster.",
    )
    ways = parser.add_subparsers(required=True, metavar="WAY")
    add_simulate(ways)
    parser.set_defaults(run=run)


def add_simulate(ways: Any) -> None:
    """Adds the way `simulate` of `medley power`; `run` carries it out."""
    parser = ways.add_parser(
        "simulate",
        help="a row with more servers than its budget was planned for, under a preset",
        description="Simulate a row that was planned for 40 servers of eight A100, with more servers on the same "
        "budget, under the capping policy. Reports how often the facility's brake acts, how much longer requests of "
        "high and low priority take than without limits, and the highest power. A week takes some 10 seconds. Exit "
        "status: 0 simulated, 2 bad input.",
    )
    add = parser.add_argument
    add("--preset", choices=[*PRESETS, NO_PRESET], default=DEFAULT_PRESET, help=f"default: {DEFAULT_PRESET}")
    add("--added", type=_percent, default=30.0, metavar="PERCENT", help="servers beyond the 40; default: 30")
    add("--days", type=whole_argument, default=7, help=f"days that are simulated, up to {MOST_DAYS}; default: 7")
    add("--seeds", type=_seeds, default=[1], metavar="N,...", help="seeds of the requests; default: 1")
    add("--telemetry", type=_seconds, default=2, metavar="DURATION", help="age of a reading; default: 2s")
    add("--actuation", type=_seconds, default=1, metavar="DURATION", help="time a command takes; default: 1s")
    add("--dwell", type=_seconds, metavar="DURATION", help="least time before a step back; default: the preset's")
    add("--under-read", type=_percent, default=0.0, metavar="PERCENT", help="what the meter reads too little")
    add("--meter-error", type=_percent, default=0.0, metavar="PERCENT", help="what the policy allows for that")
    add("--outages", type=_outages, default=0, help="outages of the controller each day, 20 minutes each; default: 0")
    add(
        "--on-loss",
        choices=("safe", "hold", "uncap"),
        default="safe",
        help="what agents do when the lease is over: go to the safe settings, hold the last ones, uncap; default: safe",
    )
    add("--curtail", type=_percent, metavar="PERCENT", help="hold the row to this part of its budget, 13:00 to 16:00")
    add_output_option(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    try:
        report = _report(args)
    except BadInput as error:
        return report_error("power simulate", error)
    if isinstance(report, Refusal):
        return report_error("power simulate", report.message)
    if args.output == TABLE:
        _print_table(report)
    else:
        print_document(report, form=args.output)
    return ExitStatus.OK


def _report(args: argparse.Namespace) -> dict[str, Any] | Refusal:
    from medley_planner.power.simulate import PLANNED_SERVERS, simulate_row

    if args.days > MOST_DAYS:
        raise BadOption("", "--days", args.days, f"give at most {MOST_DAYS}")
    if args.telemetry > MOST_TELEMETRY_SECONDS:
        raise BadOption("", "--telemetry", args.telemetry, f"give at most {MOST_TELEMETRY_SECONDS} s")
    control = _control(args)
    servers = round(PLANNED_SERVERS * (1.0 + args.added / 100.0))
    runs = []
    for seed in args.seeds:
        outcome = simulate_row(control, servers=servers, days=args.days, seed=seed)
        if isinstance(outcome, Refusal):
            return outcome
        runs.append(_row(outcome, control.ladder))
    return {
        "preset": args.preset,
        "planned_servers": PLANNED_SERVERS,
        "servers": servers,
        "days": args.days,
        "telemetry_seconds": control.telemetry_seconds,
        "actuation_seconds": control.actuation_seconds,
        "dwell_seconds": None if control.ladder is None else control.ladder.dwell_seconds,
        "outages_per_day": control.outages_per_day,
        "on_loss": control.on_loss.value,
        "curtailed_to_percent": args.curtail,
        "runs": runs,
    }


def _control(args: argparse.Namespace) -> Control:
    from medley_planner.power.simulate import Control, OnLoss

    ladder = PRESETS.get(args.preset)
    if args.curtail is not None and (ladder is None or args.curtail < LEAST_CURTAILED_PERCENT):
        way_out = f"give a preset and {LEAST_CURTAILED_PERCENT:g} to 100 percent; servers draw the rest when idle"
        raise BadOption("", "--curtail", args.curtail, way_out)
    if args.dwell is not None:
        if ladder is None:
            raise BadOption("", "--dwell", args.dwell, "without a preset nothing is capped; leave it out")
        ladder = replace(ladder, dwell_seconds=float(args.dwell), ramp_seconds=min(ladder.ramp_seconds, args.dwell))
    return Control(
        ladder,
        telemetry_seconds=args.telemetry,
        actuation_seconds=args.actuation,
        under_read=args.under_read / 100.0,
        meter_error=args.meter_error / 100.0,
        outages_per_day=args.outages,
        on_loss=OnLoss(args.on_loss),
        curtail_part=None if args.curtail is None else args.curtail / 100.0,
    )


def _row(outcome: RowOutcome, ladder: Ladder | None) -> dict[str, Any]:
    """The outcome with slowdowns in percent, and the second entry that the row's own rises allow."""
    return {
        "seed": outcome.seed,
        "budget_watts": round(outcome.budget_watts),
        "peak": round(outcome.peak, 4),
        "brakes": outcome.brakes,
        "software_brakes": outcome.soft_brakes,
        "capped_percent": round(100.0 * outcome.capped_part, 1),
        "high_priority_slower_percent": _percents(asdict(outcome.high)),
        "low_priority_slower_percent": _percents(asdict(outcome.low)),
        "second_entry": None if ladder is None else ladder.second_entry,
        "derived_second_entry": round(1.0 - outcome.rise, 4),
        "energy_kwh": round(outcome.energy_kwh, 1),
        "energy_kwh_without_limits": round(outcome.uncapped_kwh, 1),
        "curtailed": _curtailed(outcome),
    }


def _curtailed(outcome: RowOutcome) -> dict[str, float] | None:
    if outcome.curtailed is None:
        return None
    above = round(100.0 * outcome.curtailed.above_part, 2)
    return {"reached_seconds": outcome.curtailed.reached_seconds, "above_percent": above}


def _percents(parts: dict[str, float]) -> dict[str, float]:
    return {name: round(100.0 * part, 2) for name, part in parts.items()}


def _print_table(report: dict[str, Any]) -> None:
    from rich.table import Table

    from medley_planner.cli.console import report_console

    table = Table(title="Slower: by how many percent requests take longer than without limits", title_justify="left")
    slower = ("high p50", "high p99", "low p50", "low p99")
    for heading in ("seed", "brakes", "soft", "peak", "capped %", *slower, "MWh", "T2"):
        table.add_column(heading, justify="right")
    for each in report["runs"]:
        high, low = each["high_priority_slower_percent"], each["low_priority_slower_percent"]
        table.add_row(
            str(each["seed"]),
            str(each["brakes"]),
            str(each["software_brakes"]),
            f"{each['peak']:.3f}",
            f"{each['capped_percent']:.1f}",
            *(f"{part[name]:.2f}" for part in (high, low) for name in ("p50", "p99")),
            f"{each['energy_kwh'] / 1000.0:.1f}",
            f"{each['derived_second_entry']:.3f}",
        )
    console = report_console()
    console.print(
        f"{report['servers']} servers on a budget for {report['planned_servers']}, {report['days']} days, preset "
        f"{report['preset']}; readings are {report['telemetry_seconds']} s old, commands take "
        f"{report['actuation_seconds']} s",
        soft_wrap=True,
    )
    console.print(table)
    console.print(
        "soft: the software brake. Peak: of the budget, over two seconds. T2: the latest entry of the second level "
        "that the row's own rises allow",
        soft_wrap=True,
    )
    late = [each for each in report["runs"] if (each["second_entry"] or 0.0) > each["derived_second_entry"]]
    if late:
        console.print(
            f"the preset enters its second level at {late[0]['second_entry']:g}, later than that", soft_wrap=True
        )
    for each in report["runs"]:
        if each["curtailed"] is not None:
            console.print(
                f"seed {each['seed']}: held to {report['curtailed_to_percent']:g} % of the budget from 13:00 to 16:00: "
                f"reached within {each['curtailed']['reached_seconds']:.0f} s, later above it for "
                f"{each['curtailed']['above_percent']:.2f} % of the time",
                soft_wrap=True,
            )
    console.print("a simulation with one GPU type and fitted curves; measure your own servers", soft_wrap=True)


def _percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= MOST_ADDED_PERCENT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage from 0 to {MOST_ADDED_PERCENT:g}")
    return value


def _seconds(text: str) -> int:
    seconds = 0.0 if text in ("0", "0s") else duration_argument(text)
    if seconds != int(seconds) or seconds > 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds of at most an hour")
    return int(seconds)


def _outages(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_OUTAGES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MOST_OUTAGES}")
    return int(text)


def _seeds(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 10 for part in parts) or len(parts) > MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of at most {MOST_SEEDS} whole numbers, such as 1,2,3")
    return [int(part) for part in parts]
