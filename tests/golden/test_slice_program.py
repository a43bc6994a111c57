"""The baseline itself: the slice program gives the costs published for it, and the rounding rule its known factor."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from medley_planner.cli.instance import parse_instance
from tests.compare.instance_document import bare
from tests.perf.baselines.simple import cheapest_single, rounded_relaxation
from tests.perf.baselines.slice_ilp import cost_of, solve_slices

_DATA = Path(os.environ.get("MEDLEY_SHARED_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))
_FILE = _DATA / "plan_instances.json"
_FACTORS = ("1", "4", "8")
_LIMIT_CPU_SECONDS = 20.0

pytestmark = pytest.mark.skipif(
    not _FILE.exists(), reason=f"{_FILE} is not there; set MEDLEY_SHARED_DATA to its folder"
)


def _instances() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))["instances"]
    return found


def test_gives_the_published_cost_at_each_slice_factor() -> None:
    compared = 0
    for instance in _instances():
        published = instance.get("melange_cost_by_slice_factor", {})
        for factor in set(published) & set(_FACTORS):
            (service,) = parse_instance(bare(instance)).problem.services
            answer = solve_slices(service, slice_factor=int(factor), limit_cpu_seconds=_LIMIT_CPU_SECONDS)
            assert answer.proven
            assert answer.cost_per_hour == pytest.approx(published[factor], abs=0.01), (instance["name"], factor)
            compared += 1
    assert compared >= 15


def test_rounding_each_type_up_buys_a_whole_large_gpu_for_little_traffic() -> None:
    """The known factor is 1.57 at 2.2 requests/s: two A100 where an A10G and an A100 do."""
    (instance,) = (one for one in _instances() if one["name"] == "melange-fig9" and one["rate"] == 2.2)
    (service,) = parse_instance(bare(instance)).problem.services
    replicas = rounded_relaxation(service)
    assert replicas == {"A10G": 0, "A100": 2}
    assert cost_of(service, replicas) / instance["optimum_cost"] == pytest.approx(1.57, abs=0.005)


def test_the_cheapest_single_type_is_the_one_computed() -> None:
    for instance in _instances():
        (service,) = parse_instance(bare(instance)).problem.services
        replicas = cheapest_single(service)
        assert replicas is not None
        assert cost_of(service, replicas) == pytest.approx(min(one["cost"] for one in instance["single"].values()))
