"""A cluster's own GPU types: pools are planned on them, and names of the catalogue stay its own."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.api.v1alpha1 import GPUType
from medley_operator.domain.cluster.gpu_types import gpu_type_status, gpu_types
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values.memories import FleetMemory
from tests.unit.operator import factories as make
from tests.unit.planner.catalog.test_data_sheet import SHEET


def own_type(name: str = "mine", **changes: Any) -> GPUType:
    spec = {**SHEET, "memoryGbPerSecond": "864", **changes}
    return GPUType.model_validate({"metadata": {"name": name, "uid": f"uid-{name}", "generation": 1}, "spec": spec})


def test_a_pool_of_an_own_type_is_planned_by_its_name_and_product_names() -> None:
    pools = [make.pool("a", gpu="mine"), make.pool("b", gpu="NVIDIA-Mine-SHARED")]
    own = [own_type(productNames=["NVIDIA-Mine"])]
    prepared = prepare(make.snapshot(make.service(), pools=pools, own_types=own), FleetMemory())
    (candidate,) = prepared.services
    assert {known.variant.pool for known in candidate.variants} == {"a", "b"}
    assert {known.variant.gpu for known in candidate.variants} == {"mine"}
    unknown = prepare(make.snapshot(make.service(), pools=pools), FleetMemory())
    assert [state.refusal.reason for state in unknown.pools if state.refusal] == ["UnknownGpu", "UnknownGpu"]


@pytest.mark.parametrize(
    ("others", "refused", "reason"),
    [
        ([own_type("h100")], "h100", "ShadowsCatalogue"),
        ([own_type(productNames=["NVIDIA-L4"])], "mine", "ShadowsCatalogue"),
        ([own_type("a", productNames=["Same"]), own_type("b", productNames=["SAME"])], "b", "NameTaken"),
        ([own_type("a"), own_type("b", productNames=["a"])], "b", "NameTaken"),
        ([own_type(usableGib="80")], "mine", "InvalidSpec"),
        ([own_type(memoryGb="0")], "mine", "InvalidSpec"),
    ],
)
def test_a_type_that_does_not_count_says_why_in_its_status(others: list[GPUType], refused: str, reason: str) -> None:
    types = gpu_types(others)
    assert types.refused[refused].reason == reason
    for each in others:
        write = gpu_type_status(each, types, now=make.NOW)
        assert write is not None
        (accepted,) = write.status["conditions"]
        expected = reason if each.metadata.name == refused else "Accepted"
        assert (accepted["type"], accepted["reason"]) == ("Accepted", expected)
    assert len(types.catalogue.own) == len(others) - 1


def test_a_status_that_reads_so_already_is_not_written() -> None:
    first = own_type()
    write = gpu_type_status(first, gpu_types([first]), now=make.NOW)
    assert write is not None
    written = GPUType.model_validate(
        {"metadata": first.metadata.model_dump(), "spec": first.spec.model_dump(by_alias=True), "status": write.status}
    )
    assert gpu_type_status(written, gpu_types([written]), now="2026-11-24T13:00:00Z") is None
