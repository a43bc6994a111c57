"""Durations in, as Kubernetes objects write them; money, rates and durations out, each in one way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medley_planner.units import duration_seconds, per_hour, req_per_second, seconds_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("50ms", 0.05), ("250ms", 0.25), ("5m", 300), ("24h", 86400), ("1.5s", 1.5), ("0s", 0.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "-1s", "1 s", "5sec", "1.2.3s", "1h30m", "1,5s"])
def test_bad_durations_name_value_and_form(text: str) -> None:
    with pytest.raises(ValueError, match=f'"{re.escape(text)}" is not a duration.*"250ms"'):
        duration_seconds(text)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (per_hour(1.605), "$1.61/h"),
        (per_hour(0.0), "$0.00/h"),
        (per_hour(-0.0), "$0.00/h"),
        (per_hour(-0.54), "-$0.54/h"),
        (per_hour(12345.6), "$12345.60/h"),
        (per_hour(float("inf")), "$inf/h"),
        (req_per_second(4.2), "4.2 req/s"),
        (req_per_second(0.00042), "0.00042 req/s"),
        (req_per_second(123456.7), "123457 req/s"),
        (seconds_text(0.05), "50 ms"),
        (seconds_text(1.5), "1.5 s"),
    ],
)
def test_each_figure_is_written_in_one_way(written: str, text: str) -> None:
    assert written == text


ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("package", [ROOT / "planner" / "medley_planner", ROOT / "operator" / "medley_operator"])
def test_no_other_module_writes_money_or_rates(package: Path) -> None:
    own = re.compile(r"\$\{[^}]*:\.\df\}/h|\} \$/h|:\.?\d?g\} req(uests)?/s")
    found = [
        f"{file.name}: {line.strip()}"
        for file in sorted(package.rglob("*.py"))
        if file.name != "units.py" and "verify" not in file.parts
        for line in file.read_text(encoding="utf-8").splitlines()
        if own.search(line)
    ]
    assert found == []


def test_only_the_api_parses_what_users_write() -> None:
    domain = ROOT / "operator" / "medley_operator" / "domain"
    parsing = re.compile(r"duration_seconds\(|float\((\w+\.)*spec\.(slo|scaling|budget|cost|workload)|figure_of\(")
    assert [file.name for file in sorted(domain.rglob("*.py")) if parsing.search(file.read_text("utf-8"))] == []
