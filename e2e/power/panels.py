"""The dashboard of power on the run itself: each of its queries answers in the Prometheus that scrapes these racks."""

from __future__ import annotations

from functools import partial

import httpx

from e2e.dashboard import filled_in
from e2e.power.racks import Json
from e2e.power.world import PowerWorld
from medley_operator.dashboards.power import POWER

LOAD = 0.57
"""The part of their most at which the boards of rack a work; it brings its domain to level 1."""
NOT_HERE = ("medley:tokens", "medley_power_errors_total")
"""Series that only engines, or trouble, bring; tests/contract/test_dashboard_queries.py has them."""


def show_panels(world: PowerWorld) -> list[str]:
    """All panels answer while a rack is capped, and say what the domains and the registers say."""
    world.load("a", LOAD)
    world.wait("level 1", lambda: world.domain("a").get("level") == 1, within=10)
    queries = [query.expr for query in POWER.queries if not any(name in query.expr for name in NOT_HERE)]
    for each in queries:
        world.wait(f"an answer to {each}", partial(_answers, world, filled_in(each)), within=10)
    level = "max by (domain) (medley_power_level)"
    world.wait("it shows the level", lambda: _values(world, level).get("a") == 1.0, within=10)
    watts = _values(world, "max by (domain) (medley_power_watts)")["a"]
    assert abs(watts - world.feeds.watts("a")) < 0.2 * world.feeds.watts("a"), (watts, world.report())
    capped = _values(world, "max by (node) (medley_power_node_gpus_capped)")
    assert {node for node, count in capped.items() if count} == {"a-1"}, capped
    return [f"{len(queries)} of {len(POWER.queries)} queries answer"]


def _answers(world: PowerWorld, query: str) -> bool:
    return bool(_ask(world, query))


def _values(world: PowerWorld, query: str) -> dict[str, float]:
    """The value of each series, by the value of its first label."""
    return {next(iter(each["metric"].values())): float(each["value"][1]) for each in _ask(world, query)}


def _ask(world: PowerWorld, query: str) -> list[Json]:
    url = f"{world.prometheus_url}/api/v1/query"
    answer = httpx.get(url, params={"query": query}, trust_env=False, timeout=10.0).json()
    assert answer["status"] == "success", answer
    found: list[Json] = answer["data"]["result"]
    return found
