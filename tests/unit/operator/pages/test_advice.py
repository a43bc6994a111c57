"""The page of `medley advise`: the figures of its answer, for what can be compared and for what cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from medley_operator.cli.advise.advice import Survey, build_advice, propose
from medley_operator.cli.advise.engines import FoundEngine, FoundService, WorkloadRef
from medley_operator.cli.advise.load import SeenLoad
from medley_operator.cli.advise.pools import Discovery, FoundPool
from medley_operator.cli.advise.proposal import Targets
from medley_operator.domain.cluster.prices import GpuPrice
from medley_operator.pages.advice import advice_page
from medley_planner.units import per_hour
from tests.browser.chromium import Chromium
from tests.unit.operator import factories as make

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def service(name: str, node: str, *, model: str = LLAMA) -> FoundService:
    workload = WorkloadRef("chat", "Deployment", name)
    engine = FoundEngine(
        workload, f"{name}-0", node, True, False, "", "vllm:1", "0.31.0", model, name, {"nvidia.com/gpu": 1}
    )
    return FoundService("chat", name, model, (engine,))


def pool(name: str, gpu: str) -> FoundPool:
    nodes = tuple(make.node(f"{name}-{at}", pool_name=name) for at in range(2))
    return FoundPool(name, gpu, gpu or "Unknown-9", "nvidia.com/gpu", 4, False, nodes[0].labels, (), nodes)


@pytest.fixture(scope="module")
def advice() -> Mapping[str, Any]:
    pools = (pool("l4", "L4"), pool("h100", "H100"), pool("odd", ""))
    survey = Survey(
        services=(service("llama", "h100-0"), service("odd", "odd-0", model="/models/odd")),
        discovery=Discovery(pools, ("node x: no label",)),
        prices={"l4": GpuPrice(0.8, "OpenCost"), "h100": GpuPrice(6.9, "OpenCost")},
        loads={("chat", "llama"): SeenLoad(2.0, 4.0, 500.0, 150.0, 0.4, None)},
        nodes=tuple(node for each in pools for node in each.nodes),
        pods=(),
        unread=("Prometheus has no series of odd",),
    )
    targets = Targets("2s", "100ms", 95)
    here = propose(survey, targets, added={}, deadline_seconds=10.0)
    more = propose(survey, targets, added={"L40S": 0.9}, deadline_seconds=10.0)
    return build_advice(survey, here, more)


def test_it_has_the_figures_of_the_answer(advice: Mapping[str, Any], chromium: Chromium) -> None:
    llama = advice["services"][0]
    assert llama["plan"] is not None
    with chromium.visit_html(advice_page(advice)) as visit:
        visit.assert_sound()
        assert "unsafe-inline" not in visit.policy()
        rows = [row.split("\t") for row in visit.texts("section:nth-of-type(1) tbody tr")]
        assert [row[2] for row in rows] == [
            per_hour(llama["cost_per_hour"]),
            per_hour(llama["plan"]["cost_per_hour"]),
            per_hour(llama["plan_with_added_gpus"]["cost_per_hour"]),
        ]
        bars = visit.drawn("section:nth-of-type(1) svg.bar rect")
        assert bars[0]["width"] > bars[1]["width"] >= bars[2]["width"] > 0
        assert f"{advice['total']['savings_percent']:g} %" in visit.texts("dd")


def test_what_cannot_be_compared_is_said(advice: Mapping[str, Any], chromium: Chromium) -> None:
    with chromium.visit_html(advice_page(advice)) as visit:
        odd = visit.texts("section:nth-of-type(2)")[0]
        assert "is a path" in odd
        assert "not known" in odd
        assert visit.texts("section:last-of-type p") == ["node x: no label", "Prometheus has no series of odd"]


def test_a_cluster_without_engines(chromium: Chromium) -> None:
    empty = Survey((), Discovery((), ()), {}, {}, (), ())
    nothing = propose(empty, Targets("2s", "100ms", 95), added={}, deadline_seconds=1.0)
    with chromium.visit_html(advice_page(build_advice(empty, nothing, None))) as visit:
        visit.assert_sound()
        assert "No pod of the cluster runs vLLM." in visit.texts("main")[0]
