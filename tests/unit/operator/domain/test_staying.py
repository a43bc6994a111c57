"""The account of what staying has cost: from round to round, after a restart, in the status, and when it is closed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from medley_operator.api.v1alpha1 import GPUPool, LLMService
from medley_operator.domain.cluster.startup import STARTUP_SECONDS, drain_seconds
from medley_operator.domain.passes import Steps
from medley_operator.domain.staying import known_seconds, stay_seconds
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.snapshot import Snapshot
from medley_planner.regret import KNOWN_LEADS, Regret
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, changed, run, settle

ROUND_SECONDS = 60.0
SAVING_PER_HOUR, LEAVING_COST = 10 * 2 * 0.805 - 2 * 6.88, 2 * 6.88 * 142.5 / 3600
"""Ten l4-tp2 serve 36 requests per second, and two H100 would; a start takes 120 s, a drain 22.5 s."""


def service(rate_rps: str = "36", mode: str = "Auto") -> LLMService:
    load = {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": rate_rps}}
    return make.service(spec={"workload": load, "scaling": {"mode": mode}})


def pools(h100_price: str) -> list[GPUPool]:
    h100 = make.pool("h100", gpu="H100", price=h100_price, gpus_per_node=8, nodes=40)
    return [make.pool(nodes=40), h100]


@pytest.fixture
def dear() -> Round:
    """Ten l4-tp2 run, all written down, when H100 become cheaper: the round at time 0 that sees it."""
    before = settle(make.snapshot(service(), pools=pools("60")))
    return at(changed(before.snapshot, pools=tuple(pools("6.88"))), before.memory, 0.0, before.steps)


def at(snapshot: Snapshot, memory: FleetMemory, seconds: float, steps: Steps | None = None) -> Round:
    timed = replace(snapshot, at_seconds=seconds, unix_seconds=1e9 + seconds)
    return run(timed, memory, steps=steps, at_seconds=seconds)


def after(earlier: Round, seconds: float, *, forget: bool = False) -> Round:
    written = make.carried_out(earlier.snapshot, earlier.decision)
    if forget:
        return at(written, FleetMemory(), seconds)
    return at(written, earlier.memory, seconds, earlier.steps)


def regret_of(done: Round) -> Regret:
    (memory,) = done.memory.services.values()
    return memory.regret


def test_a_cheaper_fleet_opens_an_account_and_the_status_shows_it(dear: Round) -> None:
    regret = regret_of(dear)
    assert (regret.wasted_cost, regret.at_seconds) == (0.0, 0.0)
    assert regret.saving_per_hour == pytest.approx(SAVING_PER_HOUR)
    assert regret.leaving_cost == pytest.approx(LEAVING_COST)
    assert dear.status()["plan"]["staying"] == (
        "stays on 10 l4-tp2: 2 h100 would save $2.34/h; leaving costs $0.54, staying has cost $0.00 by "
        "2001-09-09T01:46:40Z; leaves at about 2001-09-09T01:55:52Z"
    )


def test_it_is_left_when_staying_costs_as_much_as_leaving_and_writes_nothing_until_then(dear: Round) -> None:
    known = KNOWN_LEADS * 142.5
    leaves = LEAVING_COST / SAVING_PER_HOUR * 3600 - known
    current = dear
    for number in range(1, 30):
        current = after(current, number * ROUND_SECONDS)
        if current.candidate().variants and current.replicas():
            break
        assert not current.decision.statuses, "the account moves on by itself"
    assert leaves <= current.snapshot.at_seconds <= leaves + 2 * ROUND_SECONDS
    assert current.replicas() in ({"llama-h100": 2}, {"llama-h100-tp2": 1})
    assert regret_of(current) == Regret(at_seconds=current.snapshot.at_seconds)
    assert "staying" not in current.status()["plan"]


def test_a_plan_that_waits_for_approval_does_not_change_while_it_waits(dear: Round) -> None:
    asked = changed(make.carried_out(dear.snapshot, dear.decision), service(mode="Approve"))
    current = at(asked, dear.memory, ROUND_SECONDS, dear.steps)
    shown = []
    for number in range(2, 30):
        current = after(current, number * ROUND_SECONDS)
        status = make.carried_out(current.snapshot, current.decision).services[0].status
        assert status.plan is not None
        shown.append(status.plan.replicas is not None)
    assert not shown[0]
    assert shown[-1]
    assert shown == sorted(shown), "it stays until it is left, and then waits"


def test_a_restart_goes_on_where_it_was(dear: Round) -> None:
    usual, anew = after(dear, 300.0), after(dear, 300.0, forget=True)
    assert not anew.decision.statuses
    assert stay_seconds(anew.candidate()) == pytest.approx(stay_seconds(usual.candidate()), rel=0.01)
    assert stay_seconds(anew.candidate()) > known_seconds(anew.candidate())


def test_figures_that_make_no_sense_begin_a_new_account(dear: Round) -> None:
    (llama,) = dear.snapshot.services
    kept = make.carried_out(dear.snapshot, dear.decision).services[0].status.memory
    assert kept is not None
    for wrong in (
        {"wasted_cost": "much"},
        {"leaving_cost": "-1"},
        {"saving_per_hour": "inf"},
        {"staying_since": "soon"},
    ):
        status = llama.status.model_copy(update={"memory": kept.model_copy(update=wrong)})
        odd = replace(dear.snapshot, services=(llama.model_copy(update={"status": status}),))
        assert regret_of(at(odd, FleetMemory(), 0.0)).wasted_cost == 0.0


def test_another_load_is_judged_anew_and_what_was_wasted_is_kept(dear: Round) -> None:
    later = after(dear, 300.0)
    moved = at(changed(later.snapshot, service("40")), later.memory, 400.0)
    assert stay_seconds(moved.candidate()) == known_seconds(moved.candidate())
    assert regret_of(moved).wasted_cost == pytest.approx(SAVING_PER_HOUR * 400 / 3600)


def test_without_a_cheaper_fleet_a_start_counts_for_two_leads() -> None:
    steady = settle(make.snapshot(make.service()))
    assert stay_seconds(steady.candidate()) == KNOWN_LEADS * (STARTUP_SECONDS + 22.5)
    assert regret_of(steady) == Regret()
    assert steady.snapshot.services[0].status.memory is None


def test_a_drain_is_the_wait_and_half_a_generation_but_never_more_than_its_timeout() -> None:
    llama = make.service(spec={"drain": {"preStop": "10s", "timeout": "4s"}})
    assert drain_seconds(llama, make.demand(generation=100.0)) == 10.0 + min(4.0, 100 * llama.spec.slo.tpot_seconds / 2)
    assert drain_seconds(llama, make.demand(generation=math.inf)) == 14.0
