"""The instances in examples/solve are valid by the printed schema, are planned, and their plans keep what they ask."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from medley_planner.__main__ import main
from medley_planner.cli.schema import json_schema
from tests.schema_check import breaches

ROOT = Path(__file__).parents[4]
EXAMPLES = sorted((ROOT / "examples" / "solve").glob("*.json"))
_DOCUMENTED = (ROOT / "docs" / "solve.md").read_text(encoding="utf-8")


def _read(name: str) -> Any:
    return json.loads((ROOT / "examples" / "solve" / name).read_text(encoding="utf-8"))


def _solve(name: str, capsys: pytest.CaptureFixture[str]) -> Any:
    status = main(["solve", str(ROOT / "examples" / "solve" / name), "-o", "json"])
    said = capsys.readouterr()
    assert (status, said.err) == (0, "")
    return json.loads(said.out)


def test_there_are_examples_of_both_forms() -> None:
    assert [path.name for path in EXAMPLES] == ["fleet.json", "instance.json", "two-services.json"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_is_valid_by_the_schema_and_named_in_the_docs(path: Path) -> None:
    assert breaches(json_schema(), json.loads(path.read_text(encoding="utf-8"))) == []
    assert f"examples/solve/{path.name}" in _DOCUMENTED


def test_the_docs_show_examples_as_they_are() -> None:
    shown = [json.loads(block.split("```")[0]) for block in _DOCUMENTED.split("```json\n")[1:]]
    assert _read("instance.json") in shown
    assert _read("two-services.json") in shown


def test_each_field_of_the_schema_is_in_the_docs() -> None:
    kinds = json_schema()["$defs"]
    fields = {name for made in kinds.values() for name in made.get("properties", {})}
    assert sorted(name for name in fields if f"`{name}`" not in _DOCUMENTED) == []


def test_two_services_share_a_stock_that_does_not_hold_both(capsys: pytest.CaptureFixture[str]) -> None:
    report = _solve("two-services.json", capsys)
    chat, search = report["services"]
    # Alone chat takes 4 L4s ($1.80) and search 2 beside its H100 ($3.29). There are 5: of the two ways to give way,
    # chat on an H100 ($2.39 + $3.29) is cheaper than search on two ($1.80 + $4.78).
    assert (report["status"], report["gap"]) == ("Optimal", 0.0)
    assert [(part["variant"], part["replicas"]) for part in chat["mix"]] == [("h100-tp1", 1)]
    assert [(part["variant"], part["replicas"]) for part in search["mix"]] == [("l4-tp1", 2), ("h100-tp1", 1)]
    assert report["cost_per_hour"] == 5.68


def test_one_instance_routed_by_prompt_length(capsys: pytest.CaptureFixture[str]) -> None:
    report = _solve("instance.json", capsys)
    instance = _read("instance.json")
    assert report["status"] == "Optimal"
    assert report["replicas"]["L4"] <= instance["stock"]["L4"]
    prices = {name: gpu["cost"] for name, gpu in instance["gpu"].items()}
    assert report["cost_per_hour"] == pytest.approx(sum(prices[name] * n for name, n in report["replicas"].items()))
    assert report["cost_per_hour"] <= report["best_single"]["cost_per_hour"]


def test_the_fleet_keeps_its_stock_nodes_spot_power_and_budgets(capsys: pytest.CaptureFixture[str]) -> None:
    report = _solve("fleet.json", capsys)
    fleet = _read("fleet.json")
    chat, summaries, batch = fleet["services"]
    replicas = {
        (service["service"], part["variant"]): part["replicas"]
        for service in report["services"]
        for part in service["mix"]
    }
    variants = {
        (service["name"], variant["name"]): variant for service in fleet["services"] for variant in service["variants"]
    }
    pools = {pool["name"]: pool for pool in fleet["pools"]}

    gpus, watts, small = Counter[str](), Counter[str](), Counter[str]()
    for key, count in replicas.items():
        variant = variants[key]
        gpus[variant["pool"]] += count * variant.get("gpus_per_replica", 1)
        watts[pools[variant["pool"]].get("power_domain", "")] += count * variant["watts"]
        if variant.get("gpus_per_replica", 1) == 4:
            small[variant["pool"]] += count
    assert gpus["h100"] <= 16
    assert gpus["l4"] <= 20
    assert gpus["l4-spot"] <= 40
    assert small["h100"] <= 4
    assert watts["rack-1"] <= 9000
    assert watts["rack-1"] + watts["hall"] <= 30000

    bought = {one["pool"]: one for one in report["nodes"]}
    cloud = bought.get("h100-cloud", {"nodes": 0, "cost_per_hour": 0.0, "idle_cost_per_hour": 0.0})
    assert cloud["nodes"] == math.ceil(gpus["h100-cloud"] / 8) <= 4
    assert cloud["cost_per_hour"] == 32.0 * cloud["nodes"]
    assert cloud["idle_cost_per_hour"] == pytest.approx(4.0 * (8 * cloud["nodes"] - gpus["h100-cloud"]))
    parts = sum(service["cost_per_hour"] for service in report["services"])
    assert report["cost_per_hour"] == pytest.approx(parts + cloud["idle_cost_per_hour"])

    of_chat = {name: count for (service, name), count in replicas.items() if service == "chat"}
    spot = of_chat.get("l4-spot-tp1", 0)
    assert spot <= chat["spot_max_share"] * sum(of_chat.values())
    assert sum(of_chat.values()) - spot >= chat["on_demand_min_replicas"]
    zones = [set(pools[variants["chat", name]["pool"]]["zones"]) for name in of_chat]
    assert all(any(has - {zone} for has in zones) for zone in ("a", "b", "c"))
    assert report["services"][0]["rate_rps"] == 30.0
    assert report["services"][1]["cost_per_hour"] <= summaries["max_cost_per_hour"]
    # N+1: 2.5 x (0.7/2.8 + 0.3/1.1) x 1.2 = 1.57 replicas of work, so two must remain when one is lost.
    assert sum(count for (service, _), count in replicas.items() if service == "summaries") >= 3

    started = sum(
        max(0, count - variants[key].get("current_replicas", 0))
        * _cost_per_hour(variants[key], pools)
        * variants[key].get("startup_seconds", 0)
        / fleet["horizon_seconds"]
        for key, count in replicas.items()
    )
    assert report["switching_cost_per_hour"] == pytest.approx(started)
    assert {one["name"] for one in report["limits"]} >= {"h100", "rack-1"}
    ranges = report["services"][0]["router"]["prompt_ranges"]
    assert not any(one["to_tokens"] > 1500 for name in ranges if "l4" in name for one in ranges[name])
    assert batch["routing"] == report["services"][2]["routing"] == "Service"


def _cost_per_hour(variant: dict[str, Any], pools: dict[str, dict[str, Any]]) -> float:
    pool = pools[variant["pool"]]
    node = pool.get("node_price")
    gpu = node["cost_per_hour"] / node["gpus"] if node else pool["gpu_cost_per_hour"]
    return float(gpu * variant.get("gpus_per_replica", 1))
