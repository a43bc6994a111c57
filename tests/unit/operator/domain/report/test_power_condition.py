"""PowerWithinBudget says how the domains stand that feed a service's replicas, and of no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1.power import PowerDomain
from medley_operator.domain.feeds.tree import CONFIRMED_SECONDS
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.domain.values.power import PowerFacts
from tests.unit.operator import factories as make
from tests.unit.operator.documented import SERVICE, is_documented
from tests.unit.operator.domain.report.test_service_conditions import conditions
from tests.unit.operator.placing import nodes, settled_placed
from tests.unit.operator.rounds.play import follow, run, settle

READ = {"type": "MeterReadable", "status": "True", "reason": "MeterRead", "message": "", "lastTransitionTime": make.NOW}
WITHIN = {"level": 0, "watts": 700, "budgetWatts": 1000, "headroomWatts": 300, "conditions": [READ]}
FED = {"nodeSelector": {"gpu": "l4"}}


def domain(name: str = "rack", *, status: Any = WITHIN, **spec: Any) -> PowerDomain:
    return make.power_domain(name, 1000, status=status, **{**FED, **spec})


def told(*domains: PowerDomain) -> tuple[str, str, str] | None:
    steady = settled_placed(make.snapshot(make.service(), pools=[make.pool(nodes=None)], nodes=nodes("l4", 4)))
    after = settle(replace(steady.snapshot, power=PowerFacts(domains)), steady.memory)
    found = conditions(after).get("PowerWithinBudget")
    return None if found is None else (found.status, found.reason, found.message)


def test_without_a_domain_that_feeds_it_nothing_is_said() -> None:
    assert told() is None
    assert told(domain(nodeSelector={"gpu": "other"}, status={**WITHIN, "headroomWatts": -9})) is None


@pytest.mark.parametrize(
    ("status", "mode", "expected"),
    [
        (WITHIN, "Enforce", ("True", "WithinBudget")),
        ({**WITHIN, "level": 1}, "Enforce", ("False", "Capped")),
        ({**WITHIN, "level": 1}, "Log", ("True", "WithinBudget")),
        ({**WITHIN, "level": 3, "headroomWatts": -20}, "Enforce", ("False", "OverBudget")),
        ({**WITHIN, "conditions": []}, "Enforce", ("Unknown", "MeterNotRead")),
        ({}, "Enforce", ("Unknown", "MeterNotRead")),
    ],
)
def test_it_follows_the_domain(status: Any, mode: str, expected: tuple[str, str]) -> None:
    found = told(domain(status=status, mode=mode))
    assert found is not None
    assert found[:2] == expected
    assert "rack" in found[2]
    assert is_documented(SERVICE, "PowerWithinBudget", *expected)


def test_a_status_that_nobody_confirms_is_not_believed_and_an_event_says_so_once() -> None:
    steady = settled_placed(make.snapshot(make.service(), pools=[make.pool(nodes=None)], nodes=nodes("l4", 4)))
    now = steady.snapshot.unix_seconds
    facts = PowerFacts((domain(mode="Enforce"),), leased_until={"rack": now - CONFIRMED_SECONDS - 1})
    gone = run(replace(steady.snapshot, power=facts), steady.memory)
    found = conditions(gone)["PowerWithinBudget"]
    assert (found.status, found.reason) == ("Unknown", "NotConfirmed")
    assert is_documented(SERVICE, "PowerWithinBudget", found.status, found.reason)
    assert utc_text(now - CONFIRMED_SECONDS - 1) in found.message
    assert "NotConfirmed" in gone.reasons()
    assert gone.gauge("power_unconfirmed_seconds", "rack") == CONFIRMED_SECONDS + 1
    again = follow(gone)
    assert "NotConfirmed" not in again.reasons()
    back = run(replace(again.snapshot, power=replace(facts, leased_until={"rack": now})), again.memory)
    assert conditions(back)["PowerWithinBudget"].reason == "WithinBudget"
    assert back.gauge("power_unconfirmed_seconds", "rack") is None


def test_the_domains_above_count_too() -> None:
    row = domain("row", nodeSelector={}, status={**WITHIN, "headroomWatts": -1})
    found = told(domain(parent="row"), row)
    assert found is not None
    assert found[1:] == ("OverBudget", found[2])
    assert "PowerDomain row" in found[2]
