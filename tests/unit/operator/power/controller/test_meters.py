"""Meters asked at once: each answer its domain's, a slow one alone late, and GPUs summed for those without a meter."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

import httpx

from medley_operator.api.v1alpha1.power import PowerDomain
from medley_operator.domain.power.gpu_sum import GpuReadings, NodeReading
from medley_operator.domain.power.view import MeterFault
from medley_operator.metrics.prometheus import Prometheus, TimedSample
from medley_operator.power.controller.meters import MeterReader, gpu_query, nodes_of
from medley_planner.power import MeterAnswer

NOW = 1_800_000_000.0


def domain(name: str, query: str | None = None, **spec: Any) -> PowerDomain:
    meter = {} if query is None else {"meter": {"query": query}}
    return PowerDomain.model_validate({"metadata": {"name": name}, "spec": {"budgetWatts": 1000, **meter, **spec}})


def vector(*rows: tuple[dict[str, str], float]) -> httpx.Response:
    result = [{"metric": labels, "value": [NOW, str(value)]} for labels, value in rows]
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})


def test_each_domain_gets_its_answer_or_its_fault() -> None:
    asked: list[dict[str, list[str]]] = []

    async def handle(request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        asked.append(form)
        match form["query"][0]:
            case "one":
                return vector(({}, 500.0))
            case "two":
                return vector(({"a": "1"}, 1.0), ({"a": "2"}, 2.0))
            case "none":
                return vector()
            case "scalar":
                data = {"resultType": "scalar", "result": [NOW, "7"]}
                return httpx.Response(200, json={"status": "success", "data": data})
            case "slow":
                await asyncio.sleep(0.3)
                return vector(({}, 9.0))
        return httpx.Response(400, json={"status": "error", "error": "parse error"})

    async def play() -> tuple[Any, Any]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client:
            reader = MeterReader(Prometheus(base_url="http://p", client=client), 0.2, lambda: NOW)
            domains = [domain(name, name) for name in ("one", "two", "none", "scalar", "bad", "slow")]
            first, gpus = await reader.read(domains)
            assert gpus is None
            await asyncio.sleep(0.3)
            second, _ = await reader.read(domains)
            await reader.close()
            return first, second

    first, second = asyncio.run(play())
    assert first["one"] == MeterAnswer((500.0,), NOW)
    assert first["two"].watts == (1.0, 2.0)
    assert first["none"].watts == ()
    assert first["scalar"].watts == (7.0,)
    assert isinstance(first["bad"], MeterFault)
    assert "parse error" in first["bad"].message
    assert "slow" not in first
    assert second["slow"].watts == (9.0,)
    assert [form["query"][0] for form in asked].count("slow") == 1, "none is asked twice at once"
    assert {form["lookback_delta"][0] for form in asked} == {"5s"}


def test_gpus_of_all_nodes_are_one_query() -> None:
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(parse_qs(request.content.decode())["query"][0])
        return vector(
            ({"node": "a", "kind": "watts"}, 1600.0),
            ({"node": "a", "kind": "gpus"}, 8.0),
            ({"node": "b", "kind": "watts"}, 1.0),
        )

    async def play() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client:
            reader = MeterReader(Prometheus(base_url="http://p", client=client), 1.0, lambda: NOW, 'cluster="eu"')
            return await reader.read([domain("x"), domain("y", staleAfterSeconds=30)])

    answers, gpus = asyncio.run(play())
    assert answers == {}
    assert gpus == GpuReadings({"a": NodeReading(1600.0, 8)}, NOW)
    assert asked == [gpu_query('cluster="eu"')]
    assert json.dumps(asked).count("DCGM_FI_DEV_POWER_USAGE") == 2


def test_a_fault_that_nobody_foresaw_is_of_one_meter() -> None:
    class Odd(Prometheus):
        async def newest(self, expression: str, *, lookback_seconds: float) -> tuple[TimedSample, ...]:
            if expression == "odd":
                raise KeyError("a fault of ours")
            if "DCGM" in expression:
                raise RuntimeError("another one")
            return (TimedSample({}, NOW, 5.0),)

    async def play() -> Any:
        async with httpx.AsyncClient() as client:
            reader = MeterReader(Odd(base_url="http://p", client=client), 1.0, lambda: NOW)
            return await reader.read([domain("odd", "odd"), domain("good", "good"), domain("summed")])

    answers, gpus = asyncio.run(play())
    assert answers["good"] == MeterAnswer((5.0,), NOW)
    assert isinstance(answers["odd"], MeterFault)
    assert "KeyError" in answers["odd"].message
    assert isinstance(gpus, MeterFault)


def test_a_number_of_gpus_that_is_none_is_left_out() -> None:
    kinds = [("watts", 100.0), ("gpus", float("nan"))]
    assert nodes_of(TimedSample({"node": "a", "kind": kind}, NOW, value) for kind, value in kinds) == {}
