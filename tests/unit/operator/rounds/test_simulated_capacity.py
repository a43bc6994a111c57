"""Simulated capacities in a round: shown in the status, used in the plan, and deciding the token budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.snapshot import Snapshot
from medley_planner.capacity import CapacityBasis, GridRatios, TableGroup, TableKey
from medley_planner.capacity.simulated import closed_form_of
from medley_planner.model import Bucket
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import changed, follow, run, settle
from tests.unit.planner.capacity.tables import simulated

Tables = dict[TableGroup, tuple[GridRatios, ...]]


def scaled(key: TableKey, ratio: float) -> GridRatios:
    closed = closed_form_of(key)
    return GridRatios(key, tuple(ratio * rate for rate in closed), closed)


def tables(snapshot: Snapshot, ratio: float) -> Tables:
    """A table for each that a round misses."""
    made: Tables = {}
    for key in prepare(snapshot, FleetMemory()).missing_tables:
        made[key.group] = (*made.get(key.group, ()), scaled(key, ratio))
    return made


def test_the_closed_form_stands_until_tables_are_there_and_status_tells_which() -> None:
    snapshot = make.snapshot(make.service())
    before = run(snapshot)
    assert before.prepared.missing_tables
    assert {row["capacityBasis"] for row in before.status()["variants"]} == {"ClosedForm"}
    after = run(replace(snapshot, capacity_tables=tables(snapshot, 0.5)))
    assert after.prepared.missing_tables == ()
    assert {row["capacityBasis"] for row in after.status()["variants"]} == {"Simulated"}
    for candidate in after.candidate().variants:
        assert candidate.basis is CapacityBasis.SIMULATED
        (old,) = [other for other in before.candidate().variants if other.variant.name == candidate.variant.name]
        assert candidate.variant.capacity_rps == pytest.approx([0.5 * rate for rate in old.variant.capacity_rps])


def test_a_plan_moves_once_when_tables_arrive() -> None:
    settled = settle(make.snapshot(make.service()))
    with_tables = replace(settled.snapshot, capacity_tables=tables(settled.snapshot, 0.4))
    moved = run(with_tables, settled.memory)
    assert moved.replicas() != {}
    plans = []
    current = moved
    for _ in range(6):
        current = follow(current)
        plans.append(current.candidate().last_replicas)
    assert all(plan == plans[0] for plan in plans)


def test_services_of_other_targets_ask_for_tables_of_their_own_and_equal_ones_share() -> None:
    strict = {"slo": {"ttft": "2s", "tpot": "50ms"}}
    one = prepare(make.snapshot(make.service("a")), FleetMemory()).missing_tables
    same = prepare(make.snapshot(make.service("a"), make.service("b")), FleetMemory()).missing_tables
    both = prepare(make.snapshot(make.service("a"), make.service("b", spec=strict)), FleetMemory()).missing_tables
    assert same == one
    assert len(both) == 2 * len(one)
    assert {key.group.targets.tpot_seconds for key in both} == {0.1, 0.05}


BESIDE = [Bucket(4000, 100), Bucket(4000, 250)]
"""The standard sizes next to a load of prompts of 4000 and generations of 150 tokens."""


def budget_chosen(tpot: str, budgets: Mapping[str, Any]) -> str:
    """The token budget that the engine is started with, on simulated tables, where one GPU has some to choose from."""
    service = make.service(spec={"slo": {"ttft": "4s", "tpot": tpot}, "workload": {"source": "Prometheus"}})
    snapshot = make.snapshot(
        service,
        pools=[make.pool("l40s", gpu="L40S", price="1.861", nodes=64, gpus_per_node=1)],
        profiles=[make.profile(**budgets, maxSequences=128)],
        observations={"llama": make.found(20.0, prompt=4000.0)},
    )
    known: Tables = {}
    for key in prepare(snapshot, FleetMemory()).missing_tables:
        known[key.group] = (*known.get(key.group, ()), simulated(key, BESIDE))
    planned = run(changed(snapshot, capacity_tables=known))
    assert {candidate.basis for candidate in planned.candidate().variants} == {CapacityBasis.SIMULATED}
    (deployment,) = planned.applied("Deployment").values()
    arguments: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    (flag,) = [argument for argument in arguments if argument.startswith("--max-num-batched-tokens=")]
    return flag.partition("=")[2]


@pytest.mark.parametrize("budgets", [{"tokenBudgets": [2048, 512]}, {"tokenBudget": None}], ids=["listed", "default"])
def test_the_token_budget_depends_on_the_tpot_target(budgets: Mapping[str, Any]) -> None:
    """Small steps disturb those that decode less; large ones serve prompts faster, where output tokens may wait."""
    assert budget_chosen("70ms", budgets) == "512"
    assert budget_chosen("300ms", budgets) == "2048"


CHOSEN = make.profile(tokenBudget=None)
STRICT = make.service(spec={"slo": {"ttft": "2s", "tpot": "60ms"}})
L40S = make.pool("l40s", gpu="L40S", gpus_per_node=1)


def test_ways_that_are_not_planned_with_have_no_tables_of_other_budgets() -> None:
    gpus = ("L4", "L40S", "A100-40", "A100-80", "H100", "H200")
    pools = [make.pool(gpu.lower(), gpu=gpu, price="1.0", gpus_per_node=8) for gpu in gpus]
    one = prepare(make.snapshot(STRICT, pools=pools), FleetMemory()).missing_tables
    prepared = prepare(make.snapshot(STRICT, pools=pools, profiles=[CHOSEN]), FleetMemory())
    (candidate,) = prepared.services
    assert len(candidate.variants) < len(one)
    assert len(prepared.missing_tables) == len(one) + 2 * len(candidate.variants)
    assert set(one) < set(prepared.missing_tables)


@pytest.mark.parametrize("alone", [True, False])
def test_a_budget_without_a_table_is_no_rival_of_one_that_has_its_own(alone: bool) -> None:
    """By the closed form 512 is better here; the table of 2048 must be compared with that of 512."""
    snapshot = make.snapshot(STRICT, pools=[L40S], profiles=[CHOSEN])
    (candidate,) = run(snapshot).candidate().variants
    assert candidate.variant.name == "l40s-b512"
    keys = prepare(snapshot, FleetMemory()).missing_tables
    assert {key.token_budget for key in keys} == {2048, 512, 8192}
    known = {keys[0].group: tuple(scaled(key, 0.5) for key in keys if not alone or key.token_budget == 2048)}
    (candidate,) = run(changed(snapshot, capacity_tables=known)).candidate().variants
    assert candidate.variant.name == ("l40s" if alone else "l40s-b512")
    assert candidate.basis is CapacityBasis.SIMULATED
