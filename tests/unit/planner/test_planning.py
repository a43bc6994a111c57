"""What lies between a problem and a verified plan, for the operator, the commands and users of the library alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medley_operator.cli.main import main
from medley_planner import planning
from medley_planner.fleet_plan import FleetPlan, PlanFailure
from medley_planner.model import Plan, PlanStatus, Problem, RoutingMode
from medley_planner.optimize import InvalidProblem, Rule, Violation, plan
from medley_planner.planning import plan_fleet, problem_as_planned
from tests.unit.planner.explain.small import about, problem, service, variant

FLEET = Path(__file__).parents[3] / "examples" / "plan" / "fleet.yaml"
INSTANCE = {"gpu": {"A10G": {"cost": 1.0, "tputs": [[1.0]]}}, "dist": [[1.0]], "rate": 2.0}
FAST = variant("fast", 3.0, 4.0)
SLOW = variant("slow", 1.0, 1.0)


def good(asked: Problem, **options: float) -> FleetPlan:
    outcome = plan_fleet(asked, **options)  # type: ignore[arg-type]
    assert isinstance(outcome, FleetPlan)
    return outcome


def test_the_plan_is_the_optimisers_with_figures_beside_it() -> None:
    asked = problem(service(FAST, SLOW, rate=5.0))
    bare, planned = plan(asked), good(asked)
    assert planned.status is PlanStatus.OPTIMAL
    assert (planned.services, planned.cost_per_hour) == (bare.services, bare.cost_per_hour)
    assert (planned.refused, planned.checked, planned.capacity_factors) == ({}, {}, {})
    assert planned.binding == {"chat": ()}
    assert problem_as_planned(asked, planned) == asked


def test_a_service_that_cannot_be_planned_is_named_and_the_others_are_planned() -> None:
    bad = replace(service(SLOW, rate=1.0, name="bad"), utilisation_limit=2.0)
    asked = problem(service(SLOW, rate=2.0), bad)
    planned = good(asked)
    assert [each.service for each in planned.services] == ["chat"]
    assert list(planned.refused) == ["bad"]
    assert planned.refused["bad"].reason == "InvalidSpec"
    assert "utilisation_limit" in planned.refused["bad"].message
    assert problem_as_planned(asked, planned) == problem(service(SLOW, rate=2.0))


def test_what_all_services_share_must_be_sound() -> None:
    asked = replace(problem(service(SLOW, rate=1.0)), steady_within=-1.0)
    with pytest.raises(InvalidProblem, match="steady_within"):
        plan_fleet(asked)


def test_better_routing_is_asked_about_where_there_is_time_for_it() -> None:
    asked = problem(service(FAST, SLOW, rate=5.0, routing=RoutingMode.SERVICE))
    assert good(asked).routing_savings == {}
    saving = good(asked, savings_seconds=5.0).routing_savings["chat"]
    assert (saving.next_mode, saving.saving_per_hour) == (RoutingMode.HTTP_ROUTE, about(1.0))


def test_a_plan_that_breaks_a_rule_never_gets_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = problem(service(SLOW, rate=2.0))
    found = plan(asked)
    (one,) = found.services
    overfull = replace(one, variants=(replace(one.variants[0], replicas=1),))
    monkeypatch.setattr(planning, "plan", lambda problem, **_: replace(found, services=(overfull,)))
    refused = plan_fleet(asked)
    assert isinstance(refused, PlanFailure)
    assert refused.reason == "PlanRejected"
    assert "chat: Capacity: " in refused.message


def test_a_service_whose_plan_the_verifier_refuses_is_left_out_and_the_others_are_planned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fault of the optimiser about one service must not hold the plans of all others."""
    bad = replace(service(SLOW, rate=2.0), name="bad")
    asked = problem(bad, service(SLOW, rate=2.0))

    def spoilt(given: Problem, **_: Any) -> Plan:
        found = plan(given)
        parts = tuple(
            replace(one, variants=(replace(one.variants[0], replicas=1),)) if one.service == "bad" else one
            for one in found.services
        )
        return replace(found, services=parts)

    monkeypatch.setattr(planning, "plan", spoilt)
    planned = good(asked)
    assert [one.service for one in planned.services] == ["chat"]
    refusal = planned.refused["bad"]
    assert refusal.reason == "PlanRejected"
    assert "Capacity: " in refusal.message
    assert problem_as_planned(asked, planned) == problem(service(SLOW, rate=2.0))


@pytest.mark.parametrize("command", ["solve", "explain"])
def test_commands_name_a_service_whose_plan_is_refused_and_show_the_others(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fleet.json"
    one = {
        "routing": "HTTPRoute",
        "demand": {"rate_rps": 2.0, "sizes": [{"prompt_tokens": 1, "generation_tokens": 1, "share": 1}]},
        "variants": [{"name": "v", "pool": "p", "capacity_rps": [1.0]}],
    }
    services = [{"name": "bad", **one}, {"name": "chat", **one}]
    file.write_text(json.dumps({"pools": [{"name": "p", "gpu_cost_per_hour": 1.0}], "services": services}))
    blame = Violation("bad", Rule.COST, "is wrong")
    monkeypatch.setattr(planning, "verify", lambda asked, _: (blame,) if len(asked.services) == 2 else ())
    assert main([command, str(file), "-o", "json"]) == 3
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert '"bad"' in line
    assert "Cost: is wrong. The other services are planned without it" in line
    names = [each["service"] for each in json.loads(said.out)["services"] if each.get("status") != "Rejected"]
    assert names == ["chat"]


def _plan(_: Path) -> list[str]:
    return ["plan", "-f", str(FLEET)]


def _explain_manifests(_: Path) -> list[str]:
    return ["explain", "-f", str(FLEET)]


def _explain_instance(instance: Path) -> list[str]:
    return ["explain", str(instance)]


def _solve(instance: Path) -> list[str]:
    return ["solve", str(instance)]


@pytest.mark.parametrize("command", [_plan, _explain_manifests, _explain_instance, _solve])
def test_commands_report_a_refused_plan_and_print_none(
    command: Callable[[Path], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    instance = tmp_path / "instance.json"
    instance.write_text(json.dumps(INSTANCE))
    violations = tuple(Violation("", Rule.COST, f"wrong {index}") for index in range(7))
    monkeypatch.setattr(planning, "verify", lambda *_: violations)
    arguments = command(instance)
    assert main(arguments) == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    last = shown.err.splitlines()[-1]
    assert last.startswith(f"medley {arguments[0]}: PlanRejected: the independent verifier refused the plan")
    assert "fleet: Cost: wrong 4 and 2 more. Please report this" in last
    assert "Traceback" not in shown.err
