"""Every allocation instance with a proven optimum is planned to it, and the infeasible one is reported by bucket."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from medley_planner.cli.instance import parse_instance
from medley_planner.model import PlanStatus, UnservedReason
from medley_planner.optimize import plan, verify
from tests.compare.instance_document import bare

_DATA = Path(os.environ.get("MEDLEY_SHARED_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))
_FILE = _DATA / "plan_instances.json"

pytestmark = pytest.mark.skipif(
    not _FILE.exists(), reason=f"{_FILE} is not there; set MEDLEY_SHARED_DATA to its folder"
)


def _document() -> dict[str, Any]:
    return json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else {"instances": []}


_INSTANCES = _document()["instances"]


@pytest.mark.parametrize(
    "instance", _INSTANCES, ids=[f"{instance['name']}-{instance['rate']:g}rps" for instance in _INSTANCES]
)
def test_reaches_the_proven_optimum(instance: dict[str, Any]) -> None:
    problem = parse_instance(bare(instance)).problem
    planned = plan(problem)
    assert verify(problem, planned) == ()
    assert planned.status is PlanStatus.OPTIMAL
    assert planned.cost_per_hour == pytest.approx(instance["optimum_cost"], rel=1e-4)
    assert planned.lower_bound_per_hour == pytest.approx(instance["optimum_cost"], rel=1e-4)
    single = planned.services[0].best_single
    assert single is not None
    assert single.cost_per_hour == pytest.approx(min(one["cost"] for one in instance["single"].values()), rel=1e-9)


def test_is_never_dearer_than_the_slice_program_at_any_slice_factor() -> None:
    compared = 0
    for instance in _INSTANCES:
        cost = plan(parse_instance(bare(instance)).problem).cost_per_hour
        for published in instance.get("melange_cost_by_slice_factor", {}).values():
            assert cost <= published * (1 + 1e-5)
            compared += 1
    assert compared >= 20


def test_each_single_type_costs_what_was_computed_for_it() -> None:
    for instance in _INSTANCES:
        for name, expected in instance["single"].items():
            alone = {**instance, "gpu": {name: instance["gpu"][name]}}
            planned = plan(parse_instance(bare(alone)).problem)
            assert planned.services[0].replicas() == {name: expected["n"]}, instance["name"]


def test_reports_the_infeasible_bucket_and_plans_the_rest() -> None:
    instance = parse_instance(bare(_document()["infeasible"]))
    planned = plan(instance.problem)
    assert verify(instance.problem, planned) == ()
    assert planned.status is PlanStatus.PARTIAL
    (service,) = planned.services
    assert [(entry.bucket, entry.reason) for entry in service.unserved] == [(1, UnservedReason.NO_VARIANT_MEETS_TARGET)]
    assert service.unserved[0].rate_rps == pytest.approx(6.0 * 0.1667)
    assert service.replicas() == {"A": 1, "B": 0}
