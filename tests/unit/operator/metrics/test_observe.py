"""Every reason that a service can be given, and that one bad service does not touch the others."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_operator.metrics import observe as reading
from medley_operator.metrics.observation import observe_live
from medley_operator.metrics.observe import ServiceQuery
from medley_operator.metrics.queries import FigureRole
from medley_operator.metrics.service_series import ServiceSeries
from medley_planner.model import SizeSource
from tests.unit.operator.metrics.fake_prometheus import (
    GENERATION_BUCKETS,
    NOW,
    PROMPT_BUCKETS,
    URL,
    WINDOW_SECONDS,
    Element,
    FakePrometheus,
    generation_elements,
    labels,
    load_elements,
    prompt_elements,
    size_elements,
)

LLAMA = ServiceQuery(namespace="demo", name="llama", window_seconds=WINDOW_SECONDS)


async def observe(fake: FakePrometheus) -> Observation:
    return (await fake.reader().observe([LLAMA]))[ServiceKey("demo", "llama")]


def absence(**figures: float) -> list[Element]:
    return [(labels("demo", "llama", FigureRole(role)), value) for role, value in figures.items()]


async def test_demand_of_a_steady_service() -> None:
    seen = await observe(FakePrometheus())
    assert seen.reason is MetricsReason.FOUND
    assert seen.samples == 600
    assert seen.demand is not None
    assert seen.demand.rate_rps == pytest.approx(2.0)
    assert seen.demand.size_source is SizeSource.INDEPENDENT
    cells = list(zip(seen.demand.shares, seen.demand.buckets, strict=True))
    assert sum(share * cell.prompt_tokens for share, cell in cells) == pytest.approx(150)
    assert sum(share * cell.generation_tokens for share, cell in cells) == pytest.approx(25)


async def test_requests_of_each_pod_are_seen_beside_the_load_and_nonsense_is_left_out() -> None:
    def of(name: str, value: float | str) -> Element:
        return {**labels("demo", "llama", FigureRole.POD_REQUESTS), "pod": name}, value

    rows = [of("a", 3), of("b", 0), of("c", "NaN"), of("d", -1), of("e", "+Inf"), of("", 7)]
    seen = await observe(FakePrometheus(load=[*load_elements(), *rows]))
    assert seen.pod_requests == {"a": 3.0, "b": 0.0}
    assert seen.demand is not None
    assert seen.demand.rate_rps == pytest.approx(2.0)


async def test_growing_queue_counts_as_arrivals() -> None:
    seen = await observe(FakePrometheus(load=load_elements(running_growth=30, waiting_growth=120)))
    assert seen.demand is not None
    assert seen.demand.rate_rps == pytest.approx(750 / 300)


async def test_draining_queue_never_gives_a_negative_rate() -> None:
    seen = await observe(FakePrometheus(load=load_elements(running_growth=-500, waiting_growth=-200)))
    assert seen.reason is MetricsReason.FOUND
    assert seen.demand is not None
    assert seen.demand.rate_rps == 0


async def test_young_service_is_divided_by_the_time_that_it_was_scraped() -> None:
    seen = await observe(FakePrometheus(load=load_elements(earliest=NOW - 100, scrapes=7)))
    assert seen.demand is not None
    assert seen.demand.rate_rps == pytest.approx(6.0)
    assert "the last 100 s" in seen.message


async def test_idle_service_is_found_without_a_demand() -> None:
    load = load_elements(completed=0, running=0, waiting=0)
    seen = await observe(FakePrometheus(load=load, prompt=[], generation=[]))
    assert seen == Observation(reason=MetricsReason.FOUND, message="no request in the last 300 s")


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (load_elements(completed=0), ["no finished request", "10 are in flight", "when the first one finishes"]),
        (load_elements(earliest=NOW - 20), ["began 20 s ago", "needs 60 s"]),
        (load_elements(scrapes=1, completed=None), ["1 sample", "spec.workload.window"]),
        (load_elements(completed=None), ["no series vllm:request_success_total{", "engine's version"]),
        (load_elements(waiting=None), ["no series vllm:num_requests_waiting{"]),
    ],
)
async def test_missing(load: list[Element], words: list[str]) -> None:
    seen = await observe(FakePrometheus(load=load))
    assert seen.reason is MetricsReason.MISSING
    assert seen.demand is None
    for word in [*words, 'namespace="demo"', 'medley_dev_service="llama"', URL]:
        assert word in seen.message


async def test_missing_size_histogram_is_named() -> None:
    seen = await observe(FakePrometheus(generation=[]))
    assert seen.reason is MetricsReason.MISSING
    assert 'vllm:request_generation_tokens_bucket{namespace="demo",medley_dev_service="llama"}' in seen.message


@pytest.mark.parametrize(
    ("figures", "reason", "word"),
    [
        ({}, MetricsReason.MISSING, "Prometheus scrapes no target of it"),
        ({"targets": 2, "targets_up": 0}, MetricsReason.MISSING, "its 2 targets do not answer"),
        ({"targets": 2, "targets_up": 1}, MetricsReason.MISSING, "1 of its 2 targets answer, but do not export it"),
        ({"seen": 1}, MetricsReason.STALE, "ended less than 1h ago"),
        ({"seen": 2, "targets": 2, "targets_up": 0}, MetricsReason.STALE, "its 2 targets do not answer"),
    ],
)
async def test_no_live_series(figures: dict[str, float], reason: MetricsReason, word: str) -> None:
    seen = await observe(FakePrometheus(load=[], prompt=[], generation=[], absence=absence(**figures)))
    assert seen.reason is reason
    assert word in seen.message
    assert (
        f'vllm:num_requests_running{{namespace="demo",medley_dev_service="llama"}} in Prometheus {URL}' in seen.message
    )
    assert "docs/metrics.md" in seen.message


@pytest.mark.parametrize(
    ("age", "scrapes", "reason"),
    [
        (59, 17, MetricsReason.FOUND),
        (61, 17, MetricsReason.STALE),  # scraped every 15 s: a minute is the limit
        (120, 4, MetricsReason.FOUND),  # scraped every minute: three minutes are
        (190, 3, MetricsReason.STALE),
    ],
)
async def test_old_newest_sample_is_stale(age: float, scrapes: float, reason: MetricsReason) -> None:
    seen = await observe(FakePrometheus(load=load_elements(newest=NOW - age, scrapes=scrapes)))
    assert seen.reason is reason
    if reason is MetricsReason.STALE:
        assert f"is {age:.0f} s old" in seen.message


@pytest.mark.parametrize(
    "fake",
    [
        FakePrometheus(load=load_elements(completed="NaN")),
        FakePrometheus(load=load_elements(running="-1")),
        FakePrometheus(load=load_elements(waiting_growth="+Inf")),
        FakePrometheus(prompt=size_elements({**PROMPT_BUCKETS, "500.0": 10.0}, 90_000)),
        FakePrometheus(prompt=size_elements({"100.0": 5.0, "200.0": 600.0}, 90_000)),
        FakePrometheus(prompt=size_elements({**PROMPT_BUCKETS, "wide": 10.0}, 90_000)),
        FakePrometheus(generation=size_elements({**GENERATION_BUCKETS, "20.0": -3.0}, 15_000)),
        FakePrometheus(generation=size_elements(GENERATION_BUCKETS, "NaN")),
        FakePrometheus(generation=size_elements(dict.fromkeys(GENERATION_BUCKETS, 0.0), 0)),
        FakePrometheus(prompt=size_elements({**PROMPT_BUCKETS, "0.0": 0.0}, 90_000)),
    ],
)
async def test_invalid(fake: FakePrometheus) -> None:
    seen = await observe(fake)
    assert seen.reason is MetricsReason.INVALID
    assert seen.demand is None
    assert 'namespace="demo",medley_dev_service="llama"' in seen.message


async def test_one_round_asks_once_for_many_services_and_at_one_instant() -> None:
    names = [f"s{index}" for index in range(40)]
    fake = FakePrometheus(
        load=[element for name in names for element in load_elements("demo", name)],
        prompt=[element for name in names for element in prompt_elements("demo", name)],
        generation=[element for name in names for element in generation_elements("demo", name)],
    )
    queries = [ServiceQuery(namespace="demo", name=name, window_seconds=WINDOW_SECONDS) for name in names]
    seen = await fake.reader().observe(queries)
    assert {observation.reason for observation in seen.values()} == {MetricsReason.FOUND}
    assert sorted(kind for kind, _ in fake.asked) == ["engine", "generation", "load", "prompt", "time", "tpot", "ttft"]
    assert {form.get("time") for kind, form in fake.asked if kind != "time"} == {f"{NOW:.3f}"}


async def test_one_bad_service_does_not_touch_the_others() -> None:
    good, bad, gone = (ServiceKey(space, "llama") for space in "abc")
    fake = FakePrometheus(
        load=load_elements(*good) + load_elements(*bad, completed="NaN"),
        prompt=prompt_elements(*good),
        generation=generation_elements(*good),
    )
    seen = await fake.reader().observe(
        [ServiceQuery(namespace=space, name=name, window_seconds=WINDOW_SECONDS) for space, name in (good, bad, gone)]
    )
    assert [seen[key].reason for key in (good, bad, gone)] == [
        MetricsReason.FOUND,
        MetricsReason.INVALID,
        MetricsReason.MISSING,
    ]


async def test_figures_that_the_operator_fails_on_are_their_own_services_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = observe_live

    def odd(question: ServiceSeries, **figures: Any) -> Observation:
        if question.key.namespace == "b":
            raise OverflowError("int too large to convert to float")
        return real(question, **figures)

    monkeypatch.setattr(reading, "observe_live", odd)
    good, bad = (ServiceKey(space, "llama") for space in "ab")
    fake = FakePrometheus(
        load=load_elements(*good) + load_elements(*bad),
        prompt=prompt_elements(*good) + prompt_elements(*bad),
        generation=generation_elements(*good) + generation_elements(*bad),
    )
    seen = await fake.reader().observe(
        [ServiceQuery(namespace=space, name=name, window_seconds=WINDOW_SECONDS) for space, name in (good, bad)]
    )
    assert [seen[key].reason for key in (good, bad)] == [MetricsReason.FOUND, MetricsReason.INVALID]
    assert "OverflowError" in seen[bad].message


async def test_each_distinct_window_is_asked_for_on_its_own() -> None:
    fake = FakePrometheus()
    await fake.reader().observe([LLAMA, ServiceQuery(namespace="demo", name="other", window_seconds=60)])
    loads = [form["query"] for kind, form in fake.asked if kind == "load"]
    assert sorted("[300s]" in query for query in loads) == [False, True]


async def test_no_service_asks_nothing() -> None:
    fake = FakePrometheus()
    assert await fake.reader().observe([]) == {}
    assert fake.asked == []


@pytest.mark.parametrize("kind", ["time", "load", "prompt", "generation", "absence"])
async def test_a_failing_request_makes_prometheus_unavailable(kind: str) -> None:
    fake = FakePrometheus(
        load=[] if kind == "absence" else load_elements(),
        override=lambda asked: httpx.Response(500, text="out of order") if asked == kind else None,
    )
    seen = await observe(fake)
    assert seen.reason is MetricsReason.UNAVAILABLE
    assert f"Prometheus {URL} answered HTTP 500 Internal Server Error: out of order" in seen.message


async def test_the_event_loop_does_not_wait_while_figures_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds for a large fleet, and the Lease is renewed and children are mended meanwhile."""
    threads: list[threading.Thread] = []

    def judged(*args: Any, **kwargs: Any) -> Any:
        threads.append(threading.current_thread())
        return observe_live(*args, **kwargs)

    monkeypatch.setattr(reading, "observe_live", judged)
    assert (await observe(FakePrometheus())).reason is MetricsReason.FOUND
    assert threads
    assert threading.main_thread() not in threads
