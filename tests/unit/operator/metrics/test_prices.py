"""The reader of prices: how often it reads, and what a source that fails leaves."""

from __future__ import annotations

from pathlib import Path

from medley_operator.metrics.errors import PrometheusUnavailableError
from medley_operator.metrics.prices import READ_SECONDS, PriceReader
from medley_operator.metrics.prometheus import Prometheus, VectorSample

LINES = "instance_type,location,purchase,usd_per_hour\nx,,spot,3\n"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class FakePrometheus(Prometheus):
    """Says the cost of one node, or nothing."""

    matchers = ""

    def __init__(self) -> None:
        self.answers, self.asked = True, 0

    async def now(self) -> float:
        self.asked += 1
        if not self.answers:
            raise PrometheusUnavailableError("it is away")
        return 1.0

    async def vector(self, expression: str, *, at: float) -> tuple[VectorSample, ...]:
        return (VectorSample({"node": "n"}, 2.0),) if "node_total" in expression else ()


async def test_it_reads_both_at_most_every_five_minutes(tmp_path: Path) -> None:
    file, clock, prometheus = tmp_path / "prices.csv", Clock(), FakePrometheus()
    file.write_text(LINES)
    reader = PriceReader(prometheus, clock=clock, price_list=file)
    found = await reader.prices()
    assert found.nodes == {"n": 2.0}
    assert found.listed == {("x", "spot", ""): 3.0}
    clock.now = READ_SECONDS - 1
    assert await reader.prices() is found
    assert prometheus.asked == 1


async def test_each_source_fails_alone(tmp_path: Path) -> None:
    file, clock, prometheus = tmp_path / "prices.csv", Clock(), FakePrometheus()
    file.write_text(LINES)
    prometheus.answers = False
    reader = PriceReader(prometheus, clock=clock, price_list=file)
    found = await reader.prices()
    assert (found.nodes, found.listed) == ({}, {("x", "spot", ""): 3.0})
    # Prometheus is asked again at once; a list that is spoilt says nothing, and statuses hold the last price.
    prometheus.answers = True
    file.write_text("spoilt")
    found = await reader.prices()
    assert (found.nodes, found.listed) == ({"n": 2.0}, {})


async def test_a_list_alone_is_enough(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(LINES)
    assert (await PriceReader(None, clock=Clock(), price_list=file).prices()).listed == {("x", "spot", ""): 3.0}
