"""Plans by watts: the fewest watts within what they may cost, proven, and refused beside limits that have no place."""

from __future__ import annotations

import csv
import json
import math
import os
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from medley_planner.__main__ import main

SHARED = Path(os.environ.get("MEDLEY_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
TABLE = SHARED / "splitwise_perf_model.csv"
PRICES = {"a100": 27.197, "h100": 88.488, "h100-capped": 88.488}
"""US dollars per hour of a server with eight GPUs (gpu_prices.csv: Azure, ND96asr A100 v4 and ND96is H100 v5)."""
WATTS = {"a100": 6500.0, "h100": 10200.0, "h100-capped": 7140.0}
"""Of a server, as SplitwiseSim has them: a capped one draws 70 % of an H100's."""
HARDWARE = {"a100": "a100-80gb", "h100": "h100-80gb", "h100-capped": "h100-80gb-pcap"}


def document(capacities: Mapping[str, float], rate: float, **changes: Any) -> dict[str, Any]:
    """A service of one size, and pools whose GPU type is a server's name."""
    pools = [{"name": name, "gpu": name, "gpu_cost_per_hour": PRICES[name]} for name in capacities]
    variants = [
        {"name": name, "pool": name, "watts": WATTS[name], "capacity_rps": [[capacity]]}
        for name, capacity in capacities.items()
    ]
    demand = {"rate_rps": rate, "prompt_tokens": [512], "generation_tokens": [128], "shares": [[1.0]]}
    service = {"name": "llama", "routing": "HTTPRoute", "demand": demand, "variants": variants}
    return {"pools": pools, "services": [service | changes]}


def solved(
    folder: Path, capsys: pytest.CaptureFixture[str], fleet: dict[str, Any], *arguments: str, status: int = 0
) -> dict[str, Any]:
    path = folder / "fleet.json"
    path.write_text(json.dumps(fleet))
    assert main(["solve", str(path), "-o", "json", *arguments]) == status, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def mix(report: dict[str, Any]) -> dict[str, int]:
    return {part["variant"]: part["replicas"] for part in report["services"][0]["mix"]}


CAPACITIES = {"a100": 1.0, "h100": 1.9, "h100-capped": 1.7}


def test_the_cheapest_and_the_thriftiest_fleet_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cheap = solved(tmp_path, capsys, document(CAPACITIES, 17.0))
    assert mix(cheap) == {"a100": 17}
    report = solved(tmp_path, capsys, document(CAPACITIES, 17.0), "--objective", "watts")
    assert mix(report) == {"h100-capped": 10}
    assert report["watts"] == report["watts_lower_bound"] == pytest.approx(10 * 7140.0)
    assert report["cost_per_hour"] == pytest.approx(10 * 88.488)
    assert (report["objective"], report["lower_bound_per_hour"], report["gap"]) == ("watts", None, 0.0)


@pytest.mark.parametrize("most", [500.0, 600.0, 700.0, 800.0, 900.0])
def test_a_cost_budget_is_kept_and_no_mix_within_it_draws_less(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], most: float
) -> None:
    arguments = ("--objective", "watts", "--max-cost-per-hour", str(most))
    report = solved(tmp_path, capsys, document(CAPACITIES, 17.0), *arguments)
    names = list(CAPACITIES)
    mixes = ((a, b, c) for a in range(18) for b in range(11) for c in range(11))
    fits = [
        sum(count * WATTS[name] for count, name in zip(counts, names, strict=True))
        for counts in mixes
        if sum(count * CAPACITIES[name] for count, name in zip(counts, names, strict=True)) >= 17.0 - 1e-9
        and sum(count * PRICES[name] for count, name in zip(counts, names, strict=True)) <= most
    ]
    assert report["watts"] == pytest.approx(min(fits))
    assert report["cost_per_hour"] <= most


def test_a_budget_that_is_too_small_leaves_demand_out_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--objective", "watts", "--max-cost-per-hour", "100")
    report = solved(tmp_path, capsys, document(CAPACITIES, 17.0), *arguments, status=3)
    (unserved,) = report["services"][0]["unserved"]
    assert (unserved["reason"], unserved["limits"]) == ("Budget", ["max-cost-per-hour"])
    assert report["limits"][0]["kind"] == "QuotaCost"


def test_the_table_speaks_of_watts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(document(CAPACITIES, 17.0)))
    assert main(["solve", str(path), "--objective", "watts"]) == 0
    assert "Optimal: 71400 W at $884.88/h, the proven bound is 71400 W" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        ({}, ("--max-cost-per-hour", "5"), "give it with --objective watts"),
        ({}, ("--objective", "watts", "--max-cost-per-hour", "0"), "above 0"),
        ({}, ("--objective", "watts", "--max-cost-per-hour", "nan"), "above 0"),
        ({"power_domains": [{"name": "rack", "budget_watts": 9}]}, ("--objective", "watts"), "power_domains"),
    ],
)
def test_what_has_no_place_beside_watts_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(document(CAPACITIES, 1.0) | change))
    assert main(["solve", str(path), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_variant_without_watts_and_a_service_with_a_budget_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fleet.json"
    fleet = document(CAPACITIES, 1.0)
    del fleet["services"][0]["variants"][0]["watts"]
    path.write_text(json.dumps(fleet))
    assert main(["solve", str(path), "--objective", "watts"]) == 2
    assert "variant a100" in capsys.readouterr().err
    path.write_text(json.dumps(document(CAPACITIES, 1.0, max_cost_per_hour=5.0)))
    assert main(["solve", str(path), "--objective", "watts"]) == 2
    assert "service llama" in capsys.readouterr().err


def test_a_bare_instance_has_no_watts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "instance.json"
    path.write_text(json.dumps({"gpu": {"A": {"cost": 1.0, "tputs": [[1.0]]}}, "dist": [[1.0]], "rate": 1.0}))
    assert main(["solve", str(path), "--objective", "watts"]) == 2
    assert "a bare instance has no watts" in capsys.readouterr().err


@pytest.mark.skipif(
    not TABLE.exists(), reason=f"{TABLE} is not there: set MEDLEY_SHARED_DATA to the folder that has it"
)
@pytest.mark.parametrize("batch", [1, 8, 64])
def test_splitwise_orders_hold_with_phases_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], batch: int
) -> None:
    """Its table of Llama-2-70B on eight GPUs: a server takes a prompt and 128 tokens of `batch` requests at a time."""
    times: dict[str, list[float]] = {name: [] for name in HARDWARE}
    with TABLE.open() as file:
        for row in csv.DictReader(file):
            cell = (row["model"], row["prompt_size"], row["batch_size"], row["token_size"], row["tensor_parallel"])
            if cell == ("llama2-70b", "512", str(batch), "128", "8"):
                name = next(name for name, hardware in HARDWARE.items() if hardware == row["hardware"])
                times[name].append(float(row["prompt_time"]) + 128 * float(row["token_time"]))
    capacities = {name: batch * 1000.0 / statistics.fmean(found) for name, found in times.items()}
    for name, order in (("cost", PRICES), ("watts", WATTS)):
        each = {kind: order[kind] / capacity for kind, capacity in capacities.items()}
        best = min(each, key=lambda kind: each[kind])
        assert best == {"cost": "a100", "watts": "h100-capped"}[name], "the arithmetic on the table itself"
        rate = 40 * capacities[best]
        fleet = document(capacities, rate)
        report = solved(tmp_path, capsys, fleet, "--objective", name)
        assert mix(report) == {best: 40}
        assert math.isclose(report["cost_per_hour"], 40 * PRICES[best], rel_tol=1e-6)
