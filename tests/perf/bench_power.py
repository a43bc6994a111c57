"""`make bench-power`: weeks of a row with more servers than its budget was planned for, by preset, beside no capping.

Every arm of a seed serves the same requests as the same servers without limits, whose latency it is compared with, on
the budget that the planned row's peak sets. Arms that must brake guard those that must not: no capping, no dwell, and
agents that uncap when the controller is lost. Exit status 1 if a target is missed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table

from medley_planner.model import Priority
from medley_planner.power import (
    PRESETS,
    Board,
    CappedDomain,
    CappedGpu,
    CappedNode,
    Ladder,
    MeterAnswer,
    PolicyState,
    build_tree,
    step,
)
from medley_planner.power.simulate import PLANNED_SERVERS, Control, OnLoss, RowOutcome, simulate_row
from medley_planner.refusal import Refusal
from tests.perf.report import parser_of, write_json

SEEDS = (1, 2, 3)
MOST_SECONDS = 60.0
"""CPU time of one simulated week of 52 servers, with the weeks that it is compared with."""
OUTAGES_A_DAY = 4
AS_GOOD_WITHIN = 0.001
"""Slowdowns that differ by less, a tenth of a percent of a request's time, are equal."""


def _no_dwell(ladder: Ladder) -> Ladder:
    return replace(ladder, dwell_seconds=0.0, ramp_seconds=0.0, brake=None)


def _brakes(outcome: RowOutcome) -> bool:
    return outcome.brakes > 0


def _hundreds(outcome: RowOutcome) -> bool:
    return outcome.brakes >= 200


def _polca(outcome: RowOutcome) -> bool:
    """The lines that POLCA's authors drew."""
    high, low = outcome.high, outcome.low
    return outcome.brakes == 0 and high.p50 < 0.01 and high.p99 < 0.05 and low.p50 < 0.05 and low.p99 < 0.50


def _deep(outcome: RowOutcome) -> bool:
    return outcome.brakes == 0 and outcome.high.p50 < 0.01


def _unbraked(outcome: RowOutcome) -> bool:
    return outcome.brakes == 0


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to control the row; `target` None: shown, not judged."""

    name: str
    added_percent: int
    control: Control
    target: Callable[[RowOutcome], bool] | None = None
    target_words: str = ""


POLCA, INBAND, DEEP = PRESETS["polca"], PRESETS["inband"], PRESETS["lp-deep"]
LOST = [replace(Control(DEEP), outages_per_day=OUTAGES_A_DAY, on_loss=on_loss) for on_loss in OnLoss]
ARMS = (
    Arm("no capping", 30, Control(None), _hundreds, ">= 200 brakes"),
    Arm("polca, 40 s", 30, Control(POLCA, actuation_seconds=40), _polca, "0 brakes, slower < 1, 5, 5, 50"),
    Arm("polca", 30, Control(POLCA)),
    Arm("inband", 30, Control(INBAND), _polca, "0 brakes, no worse than polca, 40 s"),
    Arm("ladder5", 35, Control(PRESETS["ladder5"])),
    Arm("lp-deep", 35, Control(DEEP), _deep, "0 brakes, high p50 < 1"),
    Arm("lp-deep", 40, Control(DEEP)),
    Arm("polca, 40 s", 35, Control(POLCA, actuation_seconds=40)),
    Arm("inband", 35, Control(INBAND)),
    Arm("inband, no software brake", 35, Control(replace(INBAND, brake=None))),
    Arm("lp-deep, readings 10 s old", 35, Control(DEEP, telemetry_seconds=10), _unbraked, "0 brakes"),
    Arm("the same, no dwell", 35, Control(_no_dwell(DEEP), telemetry_seconds=10), _brakes, "brakes"),
    Arm("polca, 40 s, reads 5 % low", 30, Control(POLCA, actuation_seconds=40, under_read=0.05)),
    Arm("inband, reads 5 % low", 30, Control(INBAND, under_read=0.05)),
    Arm("inband, reads 5 % low, allowed for", 30, Control(INBAND, under_read=0.05, meter_error=0.05)),
    Arm("lp-deep, 4 outages a day, safe", 35, LOST[0], _unbraked, "0 brakes"),
    Arm("the same, last setting held", 35, LOST[1]),
    Arm("the same, uncapped", 35, LOST[2], _brakes, "brakes"),
)


MOST_STEP_SECONDS = 0.4
"""0.2 cores at a step each 2 s."""


def policy_steps() -> dict[str, float]:
    """CPU seconds to build a tree of 1,000 nodes in 40 racks of 4 rows, of a step that changes nothing, and of the
    slowest one of a rise and its release."""
    board = Board("H100", idle_watts=75.0, min_cap_watts=200.0, max_watts=700.0)
    domains = [CappedDomain("site", 1000 * 6800.0, INBAND)]
    domains += [CappedDomain(f"row-{row}", 250 * 6900.0, INBAND, parent="site") for row in range(4)]
    for rack in range(40):
        nodes = []
        for index in range(25):
            priority = Priority.HIGH if index % 3 == 0 else Priority.LOW
            gpus = tuple(CappedGpu(f"{rack}-{index}-{gpu}", board, priority) for gpu in range(8))
            nodes.append(CappedNode(f"{rack}-{index}", 2800.0, gpus))
        domains.append(CappedDomain(f"rack-{rack}", 25 * 7000.0, INBAND, parent=f"row-{rack % 4}", nodes=tuple(nodes)))
    started = time.process_time()
    tree = build_tree(domains)
    built = time.process_time() - started
    state, seconds = PolicyState(), []
    for second in range(0, 300, 2):
        part = 0.86 if 10 <= second < 20 else 0.7
        answers = {name: MeterAnswer((part * each.budget_watts,), float(second)) for name, each in tree.domains.items()}
        started = time.process_time()
        state, _ = step(tree, state, answers, now_seconds=float(second))
        seconds.append(time.process_time() - started)
    return {"build_seconds": built, "quiet_step_seconds": min(seconds), "slowest_step_seconds": max(seconds)}


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--arms", nargs="+", choices=[*dict.fromkeys(arm.name for arm in ARMS)], help="only these")
    args = parser.parse_args()
    arms = [arm for arm in ARMS if not args.arms or arm.name in args.arms]
    table = Table(title=f"{args.days} days, seeds {' '.join(map(str, args.seeds))}: worst of the seeds")
    slower = ("high p50 %", "high p99 %", "low p50 %", "low p99 %")
    for heading in ("arm", "added %", "brakes by seed", "software brakes", "peak", *slower, "CPU s a run", "target"):
        table.add_column(heading)
    rows: list[dict[str, Any]] = []
    for arm in arms:
        row = figures(arm, days=args.days, seeds=args.seeds)
        rows.append(row)
        table.add_row(*cells(row))
    _compare(rows)
    Console(width=170).print(table)
    steps = policy_steps()
    print(
        f"the policy with 1,000 nodes: tree {steps['build_seconds']:.2f} s, a quiet step "
        f"{1e3 * steps['quiet_step_seconds']:.2f} ms, the slowest {1e3 * steps['slowest_step_seconds']:.1f} ms "
        f"(at most {1e3 * MOST_STEP_SECONDS:.0f})"
    )
    missed = [row for row in rows if not row["met"]]
    for row in missed:
        print(f"MISSED: {row['arm']} at +{row['added_percent']} %: {row['target']}")
    write_json(args.json, {"power": rows, "policy": steps})
    return 1 if missed or steps["slowest_step_seconds"] > MOST_STEP_SECONDS else 0


def figures(arm: Arm, *, days: int, seeds: Sequence[int]) -> dict[str, Any]:
    outcomes, seconds = [], []
    for seed in seeds:
        started = time.process_time()
        servers = round(PLANNED_SERVERS * (1 + arm.added_percent / 100))
        outcome = simulate_row(arm.control, servers=servers, days=days, seed=seed)
        seconds.append(time.process_time() - started)
        if isinstance(outcome, Refusal):
            raise SystemExit(outcome.message)
        outcomes.append(outcome)
    met = all(arm.target(outcome) for outcome in outcomes) if arm.target else True
    return {
        "arm": arm.name,
        "added_percent": arm.added_percent,
        "target": arm.target_words,
        "met": met and (days > 7 or not arm.target or max(seconds) <= MOST_SECONDS),
        "seconds": seconds,
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }


def _compare(rows: Sequence[dict[str, Any]]) -> None:
    """`inband` must be as good as `polca` in every slowdown of every seed."""
    found = {(row["arm"], row["added_percent"]): row for row in rows}
    polca, inband = found.get(("polca, 40 s", 30)), found.get(("inband", 30))
    if polca is None or inband is None:
        return
    for theirs, ours in zip(polca["outcomes"], inband["outcomes"], strict=True):
        for priority in ("high", "low"):
            for part in ("p50", "p99"):
                inband["met"] = inband["met"] and ours[priority][part] <= theirs[priority][part] + AS_GOOD_WITHIN


def cells(row: dict[str, Any]) -> list[str]:
    outcomes = row["outcomes"]
    slower = [
        f"{100 * max(each[priority][part] for each in outcomes):.2f}"
        for priority in ("high", "low")
        for part in ("p50", "p99")
    ]
    return [
        row["arm"],
        str(row["added_percent"]),
        " ".join(str(each["brakes"]) for each in outcomes),
        " ".join(str(each["soft_brakes"]) for each in outcomes),
        f"{max(each['peak'] for each in outcomes):.3f}",
        *slower,
        f"{max(row['seconds']):.0f}",
        row["target"],
    ]


if __name__ == "__main__":
    sys.exit(main())
