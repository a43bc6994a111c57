"""`medley solve` on fleets: the answer, and one typed outcome for each fault of a service or of the whole."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medley_planner.__main__ import main
from medley_planner.bad_input import BadInput
from medley_planner.cli.fleet_reader import parse_fleet
from medley_planner.cli.schema import json_schema
from medley_planner.model import NodePrice, Pool, PowerBudget, Priority, RoutingMode
from medley_planner.optimize.validate.problem import validate
from tests.schema_check import breaches

_NAN = float("nan")
_SCHEMA = json_schema()

_GRID: dict[str, Any] = {
    "name": "chat",
    "routing": "HTTPRoute",
    "demand": {
        "rate_rps": 6.0,
        "prompt_tokens": [100, 1000],
        "generation_tokens": [50, 200],
        "shares": [[0.4, 0.3], [0.2, 0.1]],
    },
    "variants": [
        {"name": "small", "pool": "s", "capacity_rps": [[2.0, 1.0], [1.0, 0.5]]},
        {"name": "large", "pool": "l", "gpus_per_replica": 2, "capacity_rps": [[20.0, 10.0], [10.0, 5.0]]},
    ],
}
_LIST: dict[str, Any] = {
    "name": "batch",
    "routing": "Service",
    "demand": {
        "quantiles": {"0.5": 1.0, "0.9": 3.0},
        "sizes": [
            {"prompt_tokens": 100, "generation_tokens": 50, "share": 0.5},
            {"prompt_tokens": 100, "generation_tokens": 500, "share": 0.5},
        ],
    },
    "variants": [{"name": "small", "pool": "s", "cost_per_hour": 0.9, "capacity_rps": [2.0, 1.0]}],
}
_FLEET: dict[str, Any] = {
    "pools": [
        {"name": "s", "gpu": "L4", "gpu_cost_per_hour": 1.0, "stock_gpus": 20},
        {"name": "l", "gpu": "H100", "gpu_cost_per_hour": 4.0, "nodes": {"count": 2, "gpus": 8}},
    ],
    "services": [_GRID, _LIST],
}


def _changed(path: str, value: object) -> dict[str, Any]:
    """The fleet with the value at the path, such as `services[0].demand.rate_rps`."""
    fleet: dict[str, Any] = copy.deepcopy(_FLEET)
    steps: list[Any] = [int(index) if index else name for name, index in re.findall(r"(\w*[a-z_]\w*)|\[(\d+)\]", path)]
    at: Any = fleet
    for step in steps[:-1]:
        at = at[step]
    if value is _ABSENT:
        del at[steps[-1]]
    else:
        at[steps[-1]] = value
    return fleet


_ABSENT = object()


def _write(folder: Path, document: object) -> str:
    path = folder / "fleet.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return str(path)


def test_json_is_the_whole_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", _write(tmp_path, _FLEET), "-o", "json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    report = json.loads(said.out)
    assert list(report) == [
        "status",
        "cost_per_hour",
        "switching_cost_per_hour",
        "lower_bound_per_hour",
        "gap",
        "solve_seconds",
        "shortages",
        "nodes",
        "limits",
        "services",
    ]
    # chat: 6 requests/s weigh 6 x (.4/2 + .3/1 + .2/1 + .1/.5) = 5.4 small replicas, or 0.54 large ones at $8.
    # batch at its 0.9 quantile: 3 x (.5/2 + .5/1) = 2.25 small replicas.
    assert (report["status"], report["cost_per_hour"]) == ("Optimal", 8.7)
    chat, batch = report["services"]
    assert (chat["service"], chat["status"], chat["routing"], chat["rate_rps"]) == ("chat", "Optimal", "HTTPRoute", 6.0)
    assert chat["cost_per_hour"] == 6.0
    assert chat["mix"] == [
        {"variant": "small", "pool": "s", "replicas": 6, "share": 1.0, "load": 0.9, "cost_per_hour": 6.0}
    ]
    assert chat["router"] == {"weights": {"small": 1.0}}
    assert chat["unserved"] == []
    assert chat["best_single"] == {"variant": "small", "replicas": 6, "cost_per_hour": 6.0}
    (unused,) = chat["unused"]
    assert (unused["variant"], unused["pool"]) == ("large", "l")
    assert (batch["rate_rps"], batch["cost_per_hour"], batch["router"]) == (3.0, pytest.approx(2.7), None)


def test_yaml_says_the_same_and_the_table_the_essence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = _changed("services[0].name", "[b]ch\u00e4t")
    path = _write(tmp_path, fleet)
    assert main(["solve", path, "-o", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert main(["solve", path, "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) | {"solve_seconds": 0} == report | {"solve_seconds": 0}
    assert main(["solve", path]) == 0
    table = capsys.readouterr().out
    for words in ("Optimal: $8.70/h; the proven bound is $8.70/h", "[b]ch\u00e4t", "small", "6 small", "90.0%"):
        assert words in table


def test_a_document_becomes_the_planners_values() -> None:
    fleet = copy.deepcopy(_FLEET)
    fleet |= {
        "horizon_seconds": 600,
        "steady_within": 0.02,
        "power_domains": [{"name": "hall", "budget_watts": 9000}, {"name": "r", "budget_watts": 10, "parent": "hall"}],
    }
    fleet["pools"] += [
        {"name": "n", "node_gpus": [8, 4], "stock_gpus": 11, "zones": ["a", "b"], "spot": True, "power_domain": "r"},
        {"name": "c", "node_price": {"gpus": 8, "cost_per_hour": 16, "max_nodes": 3}},
    ]
    fleet["services"][1] |= {
        "priority": "High",
        "routing": "InferencePool",
        "headroom_percent": 25,
        "staffing_beta": 0.5,
        "min_replicas": 1,
        "max_replicas": 9,
        "max_cost_per_hour": 50,
        "spot_max_share": 0.25,
        "on_demand_min_replicas": 2,
        "zone_spread": True,
        "n_plus_one": True,
        "stay_seconds": 900,
    }
    fleet["services"][1]["demand"]["plan_quantile"] = 0.7
    fleet["services"][1]["variants"].append(
        {
            "name": "tp4",
            "pool": "c",
            "gpus_per_replica": 4,
            "capacity_rps": [0, 3],
            "min_replicas": 1,
            "max_replicas": 2,
            "watts": 1400,
            "startup_seconds": 90,
            "current_replicas": 1,
        }
    )
    problem = parse_fleet(fleet).problem
    assert [service.stay_seconds for service in problem.services] == [600, 900]
    assert problem.steady_within == 0.02
    assert problem.power_domains == (PowerBudget("hall", 9000), PowerBudget("r", 10, "hall"))
    assert problem.pools == (
        Pool("s", 20),
        Pool("l", 16, (8, 8)),
        Pool("n", 11, (8, 4), spot=True, zones=("a", "b"), power_domain="r"),
        Pool("c", node_price=NodePrice(8, 16, 3)),
    )
    chat, batch = problem.services
    assert [(bucket.prompt_tokens, bucket.generation_tokens) for bucket in chat.demand.buckets] == [
        (100, 50),
        (100, 200),
        (1000, 50),
        (1000, 200),
    ]
    assert chat.demand.shares == pytest.approx((0.4, 0.3, 0.2, 0.1))
    assert [variant.capacity_rps for variant in chat.variants] == [(2, 1, 1, 0.5), (20, 10, 10, 5)]
    assert [(variant.cost_per_hour, variant.gpu) for variant in chat.variants] == [(1.0, "L4"), (8.0, "H100")]
    assert (chat.priority, chat.utilisation_limit, chat.max_cost_per_hour) == (Priority.NORMAL, 1.0, None)
    assert batch.demand.rate_rps == pytest.approx(2.0)
    assert (batch.priority, batch.routing, batch.utilisation_limit) == (Priority.HIGH, RoutingMode.INFERENCE_POOL, 0.8)
    assert (batch.staffing_beta, batch.min_replicas, batch.max_replicas, batch.max_cost_per_hour) == (0.5, 1, 9, 50)
    assert (batch.spot_max_share, batch.on_demand_min_replicas) == (0.25, 2)
    assert (batch.zone_spread, batch.n_plus_one) == (True, True)
    tp4 = batch.variants[1]
    assert (tp4.gpu, tp4.gpus_per_replica, tp4.cost_per_hour, tp4.capacity_rps) == ("c", 4, 8.0, (0, 3))
    assert (tp4.min_replicas, tp4.max_replicas, tp4.watts, tp4.startup_seconds) == (1, 2, 1400, 90)
    assert tp4.current_replicas == 1
    assert breaches(_SCHEMA, fleet) == []


def test_a_flat_table_is_taken_row_after_row_and_rounded_shares_are_scaled() -> None:
    fleet = _changed("services[0].demand.shares", [0.4, 0.3, 0.2, 0.095])
    fleet["services"][0]["variants"][0]["capacity_rps"] = [2, 1, 1, 0.5]
    chat = parse_fleet(fleet).problem.services[0]
    assert chat.demand.shares == pytest.approx((0.4 / 0.995, 0.3 / 0.995, 0.2 / 0.995, 0.095 / 0.995))
    assert chat.variants[0].capacity_rps == (2, 1, 1, 0.5)
    assert breaches(_SCHEMA, fleet) == []


# Where `in_schema`, the schema alone shows the fault; the others are relations between values that it cannot know.
_SERVICE_FAULTS: list[tuple[str, object, str, bool]] = [
    ("services[0]", 3, "services[0]: it is 3: give an object", True),
    ("services[0].name", _ABSENT, "services[0]: name is missing: add it", True),
    ("services[0].name", "", 'services[0] "": name is "": give at least 1 character', True),
    ("services[0].colour", "red", 'services[0] "chat": colour is "red": there is no such field', True),
    ("services[0].routing", _ABSENT, 'services[0] "chat": routing is missing', True),
    (
        "services[0].routing",
        "Random",
        'services[0] "chat": routing is "Random": give one of Service, HTTPRoute, InferencePool, PerBucket',
        True,
    ),
    ("services[0].priority", "Urgent", 'priority is "Urgent": give one of High, Normal, Low', True),
    ("services[0].variants", [], "variants is []: give at least 1 entry", True),
    ("services[0].variants[0]", None, "variants[0] is null: give an object", True),
    ("services[0].variants[0].pool", _ABSENT, "variants[0].pool is missing", True),
    (
        "services[0].variants[1].pool",
        "x",
        'variants[1].pool is "x": there is no such pool; the problem has: l, s',
        False,
    ),
    ("services[0].variants[1].name", "small", 'variants[1].name is "small": the name is used twice', False),
    ("services[0].variants[0].capacity_rps", 3, "variants[0].capacity_rps is 3: give a list", True),
    ("services[0].variants[0].capacity_rps", [1, 2, 3], "it has 3 entries; give 4, one for each size", False),
    ("services[0].variants[0].capacity_rps", [[1, 2]], "it has 1 rows; give 2, one for each of prompt_tokens", False),
    (
        "services[0].variants[0].capacity_rps[1]",
        [1],
        "variants[0].capacity_rps[1] is [1.0]: it has 1 entries; give 2",
        False,
    ),
    ("services[0].variants[0].capacity_rps[1]", 1, "variants[0].capacity_rps[1] is 1: give a list", True),
    (
        "services[0].variants[0].capacity_rps[1][1]",
        -1,
        'services[0] "chat": variants[0].capacity_rps[1][1] is -1: give a finite number, 0 or more',
        True,
    ),
    ("services[0].variants[0].capacity_rps[0][1]", _NAN, "variants[0].capacity_rps[0][1] is NaN: give a finite", False),
    ("services[0].variants[0].capacity_rps[0][1]", 1e-300, "is 1e-300: give 0 where it cannot serve", False),
    ("services[0].variants[0].capacity_rps[0][1]", "2", 'capacity_rps[0][1] is "2": give a number', True),
    ("services[0].variants[0].capacity_rps[0][1]", True, "capacity_rps[0][1] is true: give a number", True),
    (
        "services[0].variants[0].gpus_per_replica",
        0,
        "variants[0].gpus_per_replica is 0: give a whole number, 1 or",
        True,
    ),
    ("services[0].variants[0].gpus_per_replica", 1.5, "gpus_per_replica is 1.5: give a whole number", True),
    ("services[0].variants[0].gpus_per_replica", 10**400, "gpus_per_replica is 1000", False),
    ("services[0].variants[0].cost_per_hour", 0, "variants[0].cost_per_hour is 0: give a price above 0", True),
    (
        "services[0].variants[0].cost_per_hour",
        float("inf"),
        "variants[0].cost_per_hour is Infinity: give a price",
        False,
    ),
    (
        "services[0].variants[0].min_replicas",
        -1,
        "variants[0].min_replicas is -1: give a whole number, 0 or more",
        True,
    ),
    (
        "services[0].variants[0].max_replicas",
        -1,
        "variants[0].max_replicas is -1: give a whole number, 0 or more",
        True,
    ),
    ("services[0].variants[0].watts", -1.0, "variants[0].watts is -1: give a finite number, 0 or more", True),
    ("services[0].variants[0].startup_seconds", _NAN, "variants[0].startup_seconds is NaN: give a finite", False),
    ("services[0].variants[0].current_replicas", -2, "variants[0].current_replicas is -2: give a whole", True),
    ("services[0].min_replicas", -1, "min_replicas is -1: give a whole number, 0 or more", True),
    ("services[0].headroom_percent", -1, "headroom_percent is -1: give a finite number, 0 or more", True),
    ("services[0].headroom_percent", 1e9, "headroom_percent is 1000000000: give a number, 1000 or less", True),
    ("services[0].headroom_percent", _NAN, "headroom_percent is NaN: give a", False),
    ("services[0].staffing_beta", -1, "staffing_beta is -1: give a finite number, 0 or more", True),
    ("services[0].max_cost_per_hour", -1, "max_cost_per_hour is -1: give a finite number, 0 or more", True),
    ("services[0].spot_max_share", 30, "spot_max_share is 30: give a fraction from 0 to 1", True),
    ("services[0].on_demand_min_replicas", -1, "on_demand_min_replicas is -1: give a whole number", True),
    ("services[0].zone_spread", "yes", 'zone_spread is "yes": give true or false', True),
    ("services[0].n_plus_one", 1, "n_plus_one is 1: give true or false", True),
    ("services[0].demand", _ABSENT, "demand is missing", True),
    ("services[0].demand.rate_rps", _ABSENT, "demand.rate_rps is missing: give it, or quantiles of a forecast", False),
    ("services[0].demand.rate_rps", -6, 'services[0] "chat": demand.rate_rps is -6: give a finite number, 0 or', True),
    ("services[0].demand.rate_rps", _NAN, "demand.rate_rps is NaN: give a finite number, 0 or more", False),
    ("services[0].demand.rate_rps", float("inf"), "demand.rate_rps is Infinity: give a finite number", False),
    ("services[0].demand.rate_rps", 10**400, "demand.rate_rps is 1000", False),
    ("services[0].demand.rate_rps", 1e300, "demand.rate_rps is 1e+300: give at most 1e+09 requests per second", False),
    ("services[0].demand.rate_rps", "6", 'demand.rate_rps is "6": give a number', True),
    ("services[0].demand.quantiles", {"0.5": 1}, "demand.rate_rps is 6: quantiles are given as well", False),
    ("services[1].demand.quantiles", {}, "demand.quantiles is {}: no quantile is given", False),
    ("services[1].demand.quantiles", {"p50": 1}, 'demand.quantiles["p50"] is 1: its key is not a probability', False),
    ("services[1].demand.quantiles", {"0.5": 1, "0.50": 2}, 'quantiles["0.50"] is 2: the same probability', False),
    ("services[1].demand.quantiles", {"0.5": "1"}, 'demand.quantiles["0.5"] is "1": give a number', True),
    ("services[1].demand.quantiles", {"0.5": 3, "0.9": 1}, "the rate falls from 3 at quantile 0.5", False),
    ("services[1].demand.quantiles", {"0.5": -1}, "the rate at quantile 0.5 is -1; give a finite", True),
    (
        "services[1].demand.quantiles",
        {"0.5\n": 1},
        'quantiles["0.5\\n"] is "0.5\\n": write a name whose characters',
        False,
    ),
    (
        "services[1].name",
        "b\x1b[2J",
        'services[1]: name is "b\\u001b[2J": write a name whose characters can all',
        False,
    ),
    ("services[1].variants[0].name", "\ud83d", 'variants[0].name is "\\ud83d": write text whose characters can', False),
    ("services[1].demand.quantiles", {"5": 1}, "a quantile is 5; give a number from 0 to 1", False),
    ("services[1].demand.plan_quantile", 90, "demand.plan_quantile is 90: give a number, 1 or less", True),
    ("services[0].demand.prompt_tokens", [], "demand.prompt_tokens is []: give at least 1 entry", True),
    ("services[0].demand.prompt_tokens", _ABSENT, "demand.prompt_tokens is missing: give prompt_tokens, gen", False),
    ("services[0].demand.prompt_tokens[1]", -5, "demand.prompt_tokens[1] is -5: give a finite number, 0 or", True),
    ("services[0].demand.generation_tokens[1]", _NAN, "demand.generation_tokens[1] is NaN: give a finite", False),
    ("services[0].demand.shares", [], "demand.shares is []: give at least 1 entry", True),
    ("services[0].demand.shares", [[0, 0], [0, 0]], "sum of demand.shares is 0", False),
    ("services[0].demand.shares[1][0]", 0.1, "sum of demand.shares is 0.9", False),
    ("services[0].demand.shares[1][0]", -0.2, "demand.shares[1][0] is -0.2: give a finite number, 0 or more", True),
    ("services[0].demand.shares[1][0]", _NAN, "demand.shares[1][0] is NaN: give a finite number, 0 or more", False),
    ("services[1].demand.sizes", [], "demand.sizes is []: give at least 1 entry", True),
    ("services[1].demand.sizes[1].share", -0.5, "demand.sizes[1].share is -0.5: give a finite number, 0 or", True),
    ("services[1].demand.sizes[1].prompt_tokens", _NAN, "demand.sizes[1].prompt_tokens is NaN: give a finite", False),
    ("services[1].demand.sizes[1].share", _ABSENT, "demand.sizes[1].share is missing", True),
    ("services[1].demand.shares", [[1.0]], "demand.shares is [[1.0]]: sizes are listed as well", False),
    ("services[1].variants[0].capacity_rps", [[2.0], [1.0]], "sizes are listed; give one flat list of 2", False),
    ("services[1].variants[0].capacity_rps", [2.0, -1], "variants[0].capacity_rps[1] is -1: give a finite", True),
    (
        "services[1].name",
        "chat",
        'services[1] "chat": name is "chat": the name is used twice; give each a different name',
        False,
    ),
]


@pytest.mark.parametrize(
    ("path", "value", "words", "in_schema"),
    _SERVICE_FAULTS,
    ids=[f"{n}-{one[0]}" for n, one in enumerate(_SERVICE_FAULTS)],
)
def test_a_service_at_fault_is_rejected_and_the_other_is_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, value: object, words: str, in_schema: bool
) -> None:
    fleet = _changed(path, value)
    file = _write(tmp_path, fleet)
    assert main(["solve", file, "-o", "json"]) == 3
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"medley solve: {file}: services[")
    assert words in line
    report = json.loads(said.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    bad = int(path[len("services[")])
    assert report["services"][1 - bad]["status"] == "Optimal"
    rejected = report["services"][bad]
    assert list(rejected) == ["service", "status", "error"]
    assert rejected["status"] == "Rejected"
    assert list(rejected["error"]) == ["field", "value", "message"]
    assert f": {rejected['error']['field']} is " in line
    assert line.endswith(rejected["error"]["message"])
    if "NaN" not in line and "Infinity" not in line:  # which are no JSON that a schema could speak of
        assert bool(breaches(_SCHEMA, fleet)) == in_schema


def test_a_minimum_above_its_own_maximum_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = copy.deepcopy(_FLEET)
    fleet["services"][0] |= {"min_replicas": 5, "max_replicas": 3}
    fleet["services"][1]["variants"][0] |= {"min_replicas": 2, "max_replicas": 1}
    assert main(["solve", _write(tmp_path, fleet), "-o", "json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    one, other = said.err.splitlines()
    way_out = "lower it or raise max_replicas"
    assert f'services[0] "chat": min_replicas is 5: it is above max_replicas 3; {way_out}' in one
    assert f'services[1] "batch": variants[0].min_replicas is 2: it is above max_replicas 1; {way_out}' in other


def test_a_variant_without_any_price_is_a_fault() -> None:
    fleet = _changed("pools[1].gpu_cost_per_hour", _ABSENT)
    (rejected,) = parse_fleet(fleet).rejected
    assert str(rejected.fault).startswith(
        'services[0] "chat": variants[1].cost_per_hour is missing: pool l has no price'
    )


def test_a_price_off_the_part_of_the_node_is_a_fault() -> None:
    fleet = _changed("pools[1]", {"name": "l", "node_price": {"gpus": 8, "cost_per_hour": 16.0}})
    assert parse_fleet(fleet).problem.services[0].variants[1].cost_per_hour == 4.0
    fleet["services"][0]["variants"][1]["cost_per_hour"] = 4.5
    (rejected,) = parse_fleet(fleet).rejected
    assert "variants[1].cost_per_hour is 4.5: pool l is paid by the node of 8 GPUs at 16" in str(rejected.fault)


def test_sizes_that_do_not_pack_with_an_earlier_service_are_a_fault() -> None:
    fleet = _changed(
        "services[1].variants[0]", {"name": "odd", "pool": "l", "gpus_per_replica": 3, "capacity_rps": [1, 1]}
    )
    (rejected,) = parse_fleet(fleet).rejected
    assert (rejected.index, rejected.name, rejected.fault.field) == (1, "batch", "variants[0].gpus_per_replica")
    assert "does not pack onto the nodes of pool l with 2 of service chat, variant large" in rejected.fault.way_out


def test_the_table_lists_the_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", _write(tmp_path, _changed("services[0].name", _ABSENT))]) == 3
    assert "rejected -: name: add it" in capsys.readouterr().out
    assert main(["solve", _write(tmp_path, _changed("services[0].demand.rate_rps", -1))]) == 3
    assert "rejected chat: demand.rate_rps: give a finite number" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "value", "words", "in_schema"),
    [
        ("services", _ABSENT, "services is missing: give a list of at least one service", True),
        ("services", [], "services is []: give a list", True),
        ("services", {"chat": {}}, "services is {", True),
        ("pools", _ABSENT, "pools is missing", True),
        ("pools", [], "pools is []: give at least 1 entry", True),
        ("extra", 1, "extra is 1: there is no such field", True),
        ("horizon_seconds", 0, "problem: horizon_seconds is 0: give a finite number above 0", True),
        ("horizon_seconds", _NAN, "problem: horizon_seconds is NaN: give a finite number above 0", False),
        ("horizon_seconds", "1h", 'horizon_seconds is "1h": give a number', True),
        ("steady_within", 1.5, "problem: steady_within is 1.5: give a part from 0 to 1", True),
        ("pools[0].name", _ABSENT, "pools[0].name is missing", True),
        ("pools[1].name", "s", 'problem: pools is "s": the name is used twice', False),
        ("pools[0].name", "s\u202e", 'pools[0].name is "s\\u202e": write a name whose characters can all be', False),
        ("pools[0].zones", ["a\tb"], 'pools[0].zones[0] is "a\\tb": write a name whose characters can all be', False),
        ("pools[0].stock_gpus", -1, "pool s: stock_gpus is -1: give a whole number, 0 or more", True),
        ("pools[0].stock_gpus", 1.5, "pools[0].stock_gpus is 1.5: give a whole number", True),
        ("pools[0].gpu_cost_per_hour", 0, "pools[0].gpu_cost_per_hour is 0: give a finite number above 0", True),
        ("pools[0].gpu_cost_per_hour", _NAN, "pools[0].gpu_cost_per_hour is NaN: give a finite number", False),
        ("pools[0].gpu_cost_per_hour", 10**400, "give a finite number", False),
        ("pools[0].spot", "no", 'pools[0].spot is "no": give true or false', True),
        ("pools[0].zones", "a", 'pools[0].zones is "a": give a list', True),
        ("pools[0].zones", ["a", "a"], 'pool s: zones is "a": the name is used twice', False),
        ("pools[0].power_domain", "hall", 'pool s: power_domain is "hall": there is no such power domain', False),
        (
            "pools[0].node_price",
            {"gpus": 8, "cost_per_hour": 9},
            "gpu_cost_per_hour is 1: node_price is given",
            False,
        ),
        (
            "pools[1]",
            {"name": "l", "node_price": {"gpus": 0, "cost_per_hour": 9}},
            "pool l: node_price.gpus is 0: give a whole number, 1 or more",
            True,
        ),
        (
            "pools[1]",
            {"name": "l", "node_price": {"gpus": 10**400, "cost_per_hour": 9}},
            "pool l: node_price.gpus is 1000",
            False,
        ),
        ("pools[1].node_gpus", [8], 'pools[1] "l": node_gpus is [8]: nodes is given as well; leave one', False),
        ("pools[1].nodes.count", -1, "pools[1].nodes.count is -1: give a finite number, 0 or more", True),
        ("pools[1].nodes.count", 10**9, "pools[1].nodes.count is 1000000000: give a number, 100000 or less", True),
        ("pools[1].nodes.gpus", -8, "pool l: node_gpus[0] is -8: give a whole number, 0 or more", True),
        ("power_domains", [{"name": "a", "budget_watts": -1}], "power domain a: budget_watts is -1", True),
        ("power_domains", [{"name": "a", "budget_watts": 1, "parent": "b"}], 'power domain a: parent is "b"', False),
        ("power_domains", [{"name": "a", "budget_watts": 1, "parent": "a"}], "is below the domain itself", False),
        ("power_domains", [{"name": "a"}], "power_domains[0].budget_watts is missing", True),
    ],
)
def test_what_all_share_stops_the_planning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, value: object, words: str, in_schema: bool
) -> None:
    fleet = _changed(path, value)
    file = _write(tmp_path, fleet)
    assert main(["solve", file, "-o", "json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith(f"medley solve: {file}: ")
    assert words in line
    with pytest.raises(BadInput):
        parse_fleet(fleet)
    if "NaN" not in line:  # which is no JSON that a schema could speak of
        assert bool(breaches(_SCHEMA, fleet)) == in_schema


def test_wishes_that_cannot_be_had_are_outcomes_not_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = copy.deepcopy(_FLEET)
    fleet["pools"][0]["stock_gpus"] = 0
    fleet["pools"][1]["nodes"]["count"] = 1
    fleet["services"][0]["variants"][1]["min_replicas"] = 9
    for variant in fleet["services"][0]["variants"]:
        variant["capacity_rps"][1][1] = 0
    assert main(["solve", _write(tmp_path, fleet), "-o", "json"]) == 3
    said = capsys.readouterr()
    assert said.err == ""
    report = json.loads(said.out)
    chat, batch = report["services"]
    assert (report["status"], chat["status"], batch["status"]) == ("Partial", "Partial", "Infeasible")
    (entry,) = chat["unserved"]
    assert (entry["prompt_tokens"], entry["generation_tokens"]) == (1000, 200)
    assert (entry["rate_rps"], entry["reason"]) == (pytest.approx(0.6), "NoVariantMeetsTarget")
    assert [entry["reason"] for entry in batch["unserved"]] == ["Stock", "Stock"]
    assert main(["solve", _write(tmp_path, fleet)]) == 3
    table = capsys.readouterr().out
    assert "Not served" in table
    assert "1000" in table


@pytest.mark.parametrize("rate_rps", [0, 1_000_000])
def test_no_rate_and_a_million_a_second_are_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rate_rps: int
) -> None:
    fleet = _changed("services[0].demand.rate_rps", rate_rps)
    del fleet["pools"][0]["stock_gpus"]
    assert main(["solve", _write(tmp_path, fleet), "-o", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    # 0.9 small replicas of $1 for each request/s, and the table is exact enough to round up to the last one.
    assert report["services"][0]["cost_per_hour"] == pytest.approx(0.9 * rate_rps, rel=1e-4)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values in the document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, part in inner for place in _places(part, (*path, step)))]


_ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        "",
        "x",
        "\ud800",
        0,
        -1,
        2,
        1e-320,
        1e300,
        10**400,
        -(10**400),
        _NAN,
        float("-inf"),
        [],
        {},
        [[]],
        [None],
        {"": 1},
    ]
)


@given(st.lists(st.tuples(st.sampled_from(_places(_FLEET)[1:]), _ODD), min_size=1, max_size=3))
def test_no_odd_value_gets_past_the_faults(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    fleet = copy.deepcopy(_FLEET)
    for place, odd in changes:
        at: Any = fleet
        try:
            for step in place[:-1]:
                at = at[step]
            at[place[-1]] = odd
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    try:
        read = parse_fleet(fleet)
    except BadInput as error:
        assert " is " in str(error)  # noqa: PT017 - the other way out is as good
        return
    validate(read.problem)
    assert sorted([*read.places, *(one.index for one in read.rejected)]) == [0, 1]


def test_schema_is_printed_and_describes_each_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["solve", "--schema"])
    assert left.value.code == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema == _SCHEMA
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert [one["$ref"] for one in schema["anyOf"]] == ["#/$defs/FleetDocument", "#/$defs/InstanceDocument"]
    fields = [
        (kind, name, field)
        for kind, made in schema["$defs"].items()
        for name, field in made.get("properties", {}).items()
    ]
    assert len(fields) > 50
    assert [(kind, name) for kind, name, field in fields if not field.get("description")] == []
    assert all(
        made.get("additionalProperties") is False
        for kind, made in schema["$defs"].items()
        if "properties" in made and kind not in ("InstanceDocument", "GpuDocument")
    )
    assert breaches(schema, _FLEET) == []
