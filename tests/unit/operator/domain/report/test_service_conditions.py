"""The conditions of a service: all documented, and Unknown where there is nothing to judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import Condition
from medley_operator.domain.report.platform_status import NODES_SHARED, PODS_SEEN, PRICE_KNOWN
from medley_operator.domain.report.pool_supply import DEVICES_OFFERED, STOCK_LIMITED
from medley_operator.domain.report.service_conditions import SERVICE_CONDITIONS
from medley_operator.domain.speed.profiles import IN_USE
from medley_operator.domain.values.conditions import ACCEPTED
from medley_operator.domain.values.snapshot import InvalidObject
from tests.unit.operator import factories as make
from tests.unit.operator.documented import SERVICE, documented
from tests.unit.operator.rounds.play import Round, changed, follow, run, settle

ROUTED = {"routing": {"gatewayRef": {"name": "inference"}}}
NO_PROFILE = {"runtime": {"profileRef": "trt"}}
IMPOSSIBLE = {"slo": {"ttft": "2s", "tpot": "1ms"}}
UNJUDGED = ("CapacityAvailable", "WorkloadsReady", "RoutingReady")


def conditions(done: Round, name: str = "llama") -> dict[str, Condition]:
    """Conditions by type, as they are after the round."""
    after = make.carried_out(done.snapshot, done.decision).services
    return {each.type: each for service in after if service.metadata.name == name for each in service.status.conditions}


def test_each_condition_has_its_row_in_the_reference() -> None:
    assert [condition.type for condition in SERVICE_CONDITIONS] == [
        type_ for kind, type_ in documented() if kind == SERVICE
    ]
    assert {(kind, type_) for kind, type_ in documented() if kind != SERVICE} == {
        ("GPUPool", "Ready"),
        ("GPUPool", NODES_SHARED),
        ("GPUPool", PRICE_KNOWN),
        ("GPUPool", PODS_SEEN),
        ("GPUPool", STOCK_LIMITED),
        ("GPUPool", DEVICES_OFFERED),
        ("RuntimeProfile", "Ready"),
        ("ModelProfile", ACCEPTED),
        ("ModelProfile", IN_USE),
        ("MedleyPolicy", ACCEPTED),
        ("GPUType", ACCEPTED),
    }


@pytest.mark.parametrize("routing", [{}, ROUTED], ids=["service", "route"])
@pytest.mark.parametrize("spec", [NO_PROFILE, IMPOSSIBLE], ids=["profile", "target"])
def test_without_plan_and_replicas_nothing_is_judged(spec: Mapping[str, Any], routing: Mapping[str, Any]) -> None:
    found = conditions(settle(make.snapshot(make.service(spec={**spec, **routing}))))
    for type_ in UNJUDGED:
        assert (found[type_].status, found[type_].reason) == ("Unknown", "NotPlanned")
    assert (found["Ready"].status, found["Ready"].reason) == ("False", "NoPlan")
    assert found["PlanReady"].status == "False"


def test_a_gateway_that_is_missing_is_seen_without_a_plan() -> None:
    spec = {**NO_PROFILE, "routing": {"gatewayRef": {"name": "other"}}}
    assert conditions(run(make.snapshot(make.service(spec=spec))))["RoutingReady"].reason == "GatewayNotFound"


def test_the_load_of_a_service_that_is_refused_before_is_not_looked_at() -> None:
    steady = settle(make.snapshot(make.service()))
    assert conditions(steady)["MetricsAvailable"].reason == "StaticWorkload"
    refused = run(changed(steady.snapshot, make.service(spec=NO_PROFILE, generation=2)), steady.memory)
    found = conditions(refused)
    assert (found["MetricsAvailable"].status, found["MetricsAvailable"].reason) == ("Unknown", "NotPlanned")
    # What runs is of the last plan, which stays, and can be judged.
    assert (found["WorkloadsReady"].reason, found["CapacityAvailable"].reason) == ("AllReady", "Sufficient")
    assert found["RoutingReady"].reason == "Routed"


def test_stock_is_not_spoken_of_when_no_plan_is_left() -> None:
    steady = settle(make.snapshot(make.service(), pools=[make.pool(nodes=0)]))
    assert conditions(steady)["CapacityAvailable"].reason == "StockOut"
    refused = run(changed(steady.snapshot, make.service(spec=NO_PROFILE, generation=2)), steady.memory)
    assert conditions(refused)["CapacityAvailable"].reason == "NotPlanned"


def test_what_was_said_of_a_spec_that_no_longer_parses_is_not_repeated() -> None:
    steady = settle(make.snapshot(make.service()))
    service = steady.snapshot.services[0]
    status = service.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    broken = make.unreadable("LLMService", "llama", namespace=make.NAMESPACE, uid=service.metadata.uid, status=status)
    done = follow(replace_rejected(steady, broken))
    found = {row["type"]: (row["status"], row["reason"]) for row in done.snapshot.rejected[0].status["conditions"]}
    assert found == {
        "Ready": ("True", "Serving"),
        "PlanReady": ("False", "InvalidSpec"),
        **dict.fromkeys(("MetricsAvailable", *UNJUDGED), ("Unknown", "NotPlanned")),
    }


def replace_rejected(steady: Round, broken: InvalidObject) -> Round:
    """The round in which the service came not to parse."""
    return run(replace(steady.snapshot, services=(), rejected=(broken,)), steady.memory)
