"""The live page in a browser: the figures of the statuses of a real round, shown anew in place, or said to be old."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from medley_operator.api.v1alpha1 import PriceStatus
from medley_operator.domain.prepare import prepare
from medley_operator.domain.questions import Question, QuestionAnswer, QuestionKind
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.fleet.live_page import LivePage, Seen
from medley_operator.metrics.exporter import Exporter
from medley_operator.metrics.server import MetricsServer, Probe
from medley_operator.pages.fleet import MOST_SERVICES, WhatIfAnswers
from medley_planner.planning import plan_fleet
from tests.browser.chromium import Chromium, Visit
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import concluded

PRICES = {"l4": "0.805", "h100": "6.88"}
POOLS = [make.pool(name, gpu=name.upper(), price=price, nodes=2) for name, price in PRICES.items()]
HEAVY = {"workload": {"source": "Static", "static": {**make.STATIC, "requestsPerSecond": "400"}}}


def fleet(*services: str, heavy: bool = False) -> Seen:
    """Services and pools with the statuses that one round of the operator writes."""
    objects = [make.service(name, spec=HEAVY if heavy else {}) for name in services]
    priced = {name: PriceStatus(per_hour=price, source="Spec") for name, price in PRICES.items()}
    snapshot = replace(make.snapshot(*objects, pools=POOLS), prices=priced)
    prepared = prepare(snapshot, FleetMemory())
    assert prepared.problem is not None
    played = concluded(snapshot, prepared, plan_fleet(prepared.problem), FleetMemory())
    after = make.carried_out(played.snapshot, played.decision)
    return after.services, after.pools


@dataclass(frozen=True)
class Served:
    page: LivePage
    server: MetricsServer

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/ui"

    @property
    def script(self) -> str:
        return f"{self.address}/refresh.js"


@pytest.fixture
def served() -> Iterator[Served]:
    page = LivePage(timestamp=lambda: make.NOW)
    well = Probe(True, "ok")
    server = MetricsServer(
        address="127.0.0.1",
        port=0,
        registry=Exporter().registry,
        healthy=lambda: well,
        ready=lambda: well,
        pages=page.served(),
    )
    server.start()
    yield Served(page, server)
    server.stop()


def refreshed(visit: Visit, times: int) -> None:
    visit.page.evaluate("dispatchEvent(new Event('medley-refresh'))")
    visit.page.locator(f"html[data-refreshed='{times}']").wait_for(state="attached")


def test_it_shows_the_figures_of_the_statuses(served: Served, chromium: Chromium) -> None:
    seen = fleet("llama", "mistral")
    served.page.offer(seen)
    (llama, _), _ = seen
    plan = llama.status.plan
    assert plan is not None
    with chromium.visit(served.address) as visit:
        visit.assert_sound(asked=(served.script,))
        row = visit.texts("section:nth-of-type(1) tbody tr")[0].split("\t")
        assert row[:3] == ["demo/llama", llama.status.mix, f"0 of {llama.status.desired_replicas}"]
        assert row[4] == f"${plan.cost_per_hour}"
        words = visit.texts("section:nth-of-type(2)")[0]
        for figure in (plan.id, plan.state, plan.lower_bound_per_hour, plan.cost_per_hour):
            assert figure in words
        for variant in llama.status.variants:
            assert variant.name in words
        pools = [row.split("\t") for row in visit.texts("section:nth-of-type(4) tbody tr")]
        assert [(row[0], row[2], row[6]) for row in pools] == [
            (pool.metadata.name, f"${pool.status.price.per_hour}/h", str(pool.status.planned_gpus))
            for pool in seen[1]
            if pool.status.price is not None
        ]


def test_its_policy_allows_no_inline_script(served: Served, chromium: Chromium) -> None:
    with chromium.visit(served.address) as visit:
        policy = visit.page.request.get(served.address).headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert visit.policy() in policy
        visit.page.evaluate(
            "document.head.append(Object.assign(document.createElement('script'), {text: 'var a = 1'}))"
        )
        assert any("Content Security Policy" in each for each in visit.complaints)


def test_limits_that_bind_and_troubles_are_told(served: Served, chromium: Chromium) -> None:
    served.page.offer(fleet("llama", heavy=True))
    (service,) = fleet("llama", heavy=True)[0]
    assert service.status.plan is not None
    assert service.status.plan.limits
    assert service.status.problem
    with chromium.visit(served.address) as visit:
        visit.assert_sound(asked=(served.script,))
        words = visit.texts("section:nth-of-type(2)")[0]
        assert "limit that binds" in words
        assert service.status.problem.split(",")[0] in words


def test_what_would_change(served: Served, chromium: Chromium) -> None:
    served.page.offer(fleet("llama"))
    with chromium.visit(served.address) as visit:
        assert "Not asked yet" in visit.texts("section:last-of-type")[0]
        twice = QuestionAnswer(Question(QuestionKind.RATE, 2.0), 6.44, replicas={"demo/llama": {"l4": 8}})
        served.page.answered(WhatIfAnswers((twice,), cost_per_hour=3.22))
        refreshed(visit, 1)
        rows = [row.split("\t") for row in visit.texts("section:last-of-type tbody tr")]
        assert [[row[0], *row[2:]] for row in rows] == [
            ["as it is", "$3.22/h", "", ""],
            ["requests x 2", "$6.44/h", "+100%", "8 x l4"],
        ]
        visit.assert_sound(asked=(served.script, served.address))


def test_it_is_shown_anew_in_place_and_says_when_it_is_old(served: Served, chromium: Chromium) -> None:
    with chromium.visit(served.address) as visit:
        assert visit.texts("h2") == ["What would change if"]
        served.page.offer(fleet("llama"))
        refreshed(visit, 1)
        assert "demo/llama" in visit.texts("h2")
        assert visit.texts("main") == visit.texts("body")
        served.server.stop()
        refreshed(visit, 2)
        assert "the operator does not answer" in visit.texts("[role=status]")[0]
        assert "demo/llama" in visit.texts("h2")


def test_a_large_fleet_has_all_services_in_its_table(served: Served, chromium: Chromium) -> None:
    (service,), pools = fleet("llama")
    metadata = [service.metadata.model_copy(update={"name": f"s{at}"}) for at in range(MOST_SERVICES + 20)]
    served.page.offer((tuple(service.model_copy(update={"metadata": each}) for each in metadata), pools))
    with chromium.visit(served.address) as visit:
        assert len(visit.texts("section:nth-of-type(1) tbody tr")) == MOST_SERVICES + 20
        assert len(visit.texts("h2")) == 1 + MOST_SERVICES + 2


def test_names_are_text(served: Served, chromium: Chromium) -> None:
    (service,), pools = fleet("llama")
    hostile = service.model_copy(
        update={"status": service.status.model_copy(update={"mix": "<img src=x onerror=alert(1)>"})}
    )
    served.page.offer(((hostile,), pools))
    with chromium.visit(served.address) as visit:
        visit.assert_sound(asked=(served.script,))
        assert "<img src=x" in visit.texts("section:nth-of-type(1) tbody tr")[0]
