"""Start-up times for planning: what was measured where it suffices, and what the pools and profiles say otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.cluster.startup import STARTUP_SECONDS, lead_times, longest_startup_seconds, startup_seconds
from medley_operator.domain.values.leadtime import FEWEST_STARTS, LeadKey, LeadTimes
from tests.unit.operator import factories as make
from tests.unit.operator.domain.values.test_leadtime import COLD, CREATED, LLAMA, WARM, start, started
from tests.unit.operator.rounds.play import run


def test_a_figure_for_planning_needs_three_starts_and_the_right_kind() -> None:
    def leads(count: int, key: LeadKey, total: float = 400.0) -> LeadTimes:
        return LeadTimes().with_starts([(key, start(f"{key.node}{n}", total)) for n in range(count)])

    def seconds(known: LeadTimes, kind: str = "Fixed", **profile: Any) -> float:
        return startup_seconds(LLAMA, "L4", make.pool(kind=kind), make.profile(**profile), known)

    assert seconds(LeadTimes()) == STARTUP_SECONDS
    assert seconds(leads(FEWEST_STARTS - 1, WARM)) == STARTUP_SECONDS
    assert seconds(leads(FEWEST_STARTS, WARM)) == 420
    assert seconds(leads(FEWEST_STARTS, COLD)) == STARTUP_SECONDS
    assert seconds(leads(FEWEST_STARTS, COLD), "Elastic") == 420
    assert seconds(leads(FEWEST_STARTS, WARM), "Elastic") == 420
    assert seconds(leads(FEWEST_STARTS, WARM), startupTimeout="300s") == 300
    assert seconds(leads(FEWEST_STARTS, WARM, 1.0)) == 30
    assert seconds(leads(FEWEST_STARTS, WARM, 9999.0), startupTimeout="4h") == 9999


def test_pods_of_a_snapshot_are_counted_where_all_of_it_is_known() -> None:
    nodes = [replace(make.node("node-1", pool_name="l4"), created_at=CREATED - 86400), make.node("old", pool_name="l4")]
    pods = (
        *(started(f"pod-{n}") for n in range(3)),
        started("gone", node="elsewhere"),
        started("ageless", node="old"),
        started("poolless", pool="other"),
        replace(started("foreign"), namespace="else"),
        replace(started("starting"), start=None),
    )
    snapshot = replace(make.snapshot(make.service(), nodes=nodes), pods=pods)
    leads = lead_times(snapshot, LeadTimes())
    assert {key: len(starts) for key, starts in leads.starts.items()} == {replace(WARM, namespace=make.NAMESPACE): 3}
    elsewhere = replace(snapshot, services=(make.service(namespace="else"),))
    assert lead_times(elsewhere, leads).starts.keys() == {replace(WARM, namespace="else")}, "who is gone is forgotten"
    assert lead_times(replace(snapshot, pods=()), leads) is leads


def test_rounds_plan_with_what_was_measured_and_keep_it() -> None:
    nodes = [replace(make.node(f"node-{n}", pool_name="l4"), created_at=CREATED - 86400) for n in range(4)]
    snapshot = replace(make.snapshot(make.service(), nodes=nodes), pods=tuple(started(f"pod-{n}") for n in range(3)))
    first = run(snapshot)
    later = run(replace(snapshot, pods=()), first.memory)
    for done in (first, later):
        assert done.prepared.problem is not None
        by_gpu = {v.gpu: v.startup_seconds for v in done.prepared.problem.services[0].variants}
        assert by_gpu == {"L4": 180.0, "H100": STARTUP_SECONDS}
        assert done.gauge("lead_time_starts", LLAMA, "L4", "warm") == 3
        for part, seconds in {"scheduled": 3, "started": 7, "pulled": 60, "ready": 90, "total": 160}.items():
            assert done.gauge("lead_time_seconds", LLAMA, "L4", "warm", part) == seconds
    wished = make.service(spec={"variants": [{"poolRef": "h100"}]})
    for service, longest in ((make.service(), 180.0), (wished, STARTUP_SECONDS)):
        leads = first.memory.leads.believed_by(make.NAMESPACE)
        assert longest_startup_seconds(service, make.profile(), first.prepared.pools, leads) == longest


@pytest.mark.parametrize(
    ("in_force", "longest"),
    [
        ((), 180.0),
        (("h100",), STARTUP_SECONDS),
        (("l4", "h100"), 180.0),
        (("l4",), 180.0),
        (("gone",), 180.0),
        (("gone", "h100"), STARTUP_SECONDS),
    ],
)
def test_the_plan_in_force_says_which_start_ups_count(in_force: tuple[str, ...], longest: float) -> None:
    nodes = [replace(make.node(f"node-{n}", pool_name="l4"), created_at=CREATED - 86400) for n in range(4)]
    done = run(replace(make.snapshot(make.service(), nodes=nodes), pods=tuple(started(f"pod-{n}") for n in range(3))))
    leads = done.memory.leads.believed_by(make.NAMESPACE)
    found = longest_startup_seconds(make.service(), make.profile(), done.prepared.pools, leads, in_force=in_force)
    assert found == longest


def test_a_service_plans_ahead_by_the_start_ups_of_its_plan() -> None:
    rows = [{"name": name, "pool": name, "gpu": name.upper(), "desired": 1} for name in ("l4", "h100")]
    service = make.service()
    service = service.model_copy(update={"status": service.status.model_validate({"variants": rows})})
    nodes = [replace(make.node(f"node-{n}", pool_name="l4"), created_at=CREATED - 86400) for n in range(4)]
    snapshot = replace(make.snapshot(service, nodes=nodes), pods=tuple(started(f"pod-{n}") for n in range(3)))
    leads = lead_times(snapshot, LeadTimes()).believed_by(make.NAMESPACE)
    for last, seconds in (
        ({"h100": 2}, STARTUP_SECONDS),
        ({"h100": 2, "l4": 1}, 180.0),
        ({"l4": 0}, 180.0),
        ({}, 180.0),
    ):
        assert make.service_input(service, snapshot, leads=leads, last_replicas=last).lead_seconds == seconds
