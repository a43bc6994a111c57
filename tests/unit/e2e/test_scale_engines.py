"""The engines of the scale suite: what they export is what the operator's queries ask for, and adds up to the load."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from e2e.fleet.cluster import Key
from e2e.scale.engines import EDGES, Engines, Pod, loads_of, size_shares
from e2e.scale.fleet import Load
from e2e.scale.serve import ready_pod
from medley_operator.metrics.calibration_queries import calibration_query
from medley_operator.metrics.engine_names import VLLM
from medley_operator.metrics.queries import engine_query, load_query, size_query

CHAT = Key("team", "chat")
LOAD = Load(rate_rps=12.0, prompt_tokens=400, generation_tokens=100)


def pod(name: str, service: str = "chat") -> Pod:
    return Pod(Key("team", name), service, "l40s-a", "5d8f")


def served(*pods: Pod) -> Engines:
    engines = Engines()
    engines.set_loads({CHAT: LOAD}, now=0.0)
    for each in pods:
        engines.see(each, now=0.0)
    return engines


def samples(engines: Engines, *, now: float) -> dict[tuple[str, str, str], float]:
    """By name, pod and edge."""
    text = "\n".join(f"{line}" for line in engines.text(now=now).splitlines()) + "\n"
    return {
        (sample.name, sample.labels["pod"], sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_pods_of_a_service_share_its_requests() -> None:
    found = samples(served(pod("a"), pod("b"), pod("c")), now=10.0)
    finished = [value for (name, _, _), value in found.items() if name == "vllm:request_success_total"]
    assert finished == pytest.approx([40.0, 40.0, 40.0])


def test_a_new_load_and_a_new_pod_count_from_their_time_on() -> None:
    engines = served(pod("a"))
    engines.set_loads({CHAT: Load(24.0, 400, 100)}, now=10.0)
    engines.see(pod("b"), now=20.0)
    found = samples(engines, now=30.0)
    assert found["vllm:request_success_total", "a", ""] == pytest.approx(120 + 240 + 120)
    assert found["vllm:request_success_total", "b", ""] == pytest.approx(120)


def test_a_pod_that_is_gone_has_no_series_and_the_others_serve_all() -> None:
    engines = served(pod("a"), pod("b"))
    engines.gone(Key("team", "b"), now=0.0)
    engines.gone(Key("team", "never"), now=0.0)
    found = samples(engines, now=10.0)
    assert {name for _, name, _ in found} == {"a"}
    assert found["vllm:request_success_total", "a", ""] == pytest.approx(120.0)
    assert len(engines) == 1


def test_a_service_without_a_load_exports_nothing() -> None:
    assert served(pod("x", service="other")).text(now=5.0) == ""


def test_buckets_rise_to_all_requests_and_their_mean_is_the_loads() -> None:
    found = samples(served(pod("a")), now=10.0)
    for part, mean in (("prompt", LOAD.prompt_tokens), ("generation", LOAD.generation_tokens)):
        name = f"vllm:request_{part}_tokens"
        counts = [found[f"{name}_bucket", "a", le] for le in (*map(repr, EDGES), "+Inf")]
        assert counts == sorted(counts)
        assert counts[-1] == pytest.approx(found[f"{name}_count", "a", ""])
        assert found[f"{name}_sum", "a", ""] == pytest.approx(mean * counts[-1])
    assert len(size_shares(LOAD)) == 2 * (len(EDGES) + 1)


def test_every_series_is_one_that_the_operator_asks_for() -> None:
    asked = [load_query(VLLM, window_seconds=60), engine_query(VLLM, window_seconds=60)]
    asked += [size_query(names, window_seconds=60) for names in (VLLM.prompt, VLLM.generation)]
    asked += [calibration_query(VLLM, window_seconds=60)]
    text = "\n".join(asked)
    for name, _, _ in samples(served(pod("a")), now=10.0):
        assert name in text or name.endswith("_tokens_count"), name


def test_loads_are_read_by_name() -> None:
    document = {"team/chat": {"rate_rps": 12.0, "prompt_tokens": 400.0, "generation_tokens": 100.0}}
    assert loads_of(document) == {CHAT: LOAD}


@pytest.mark.parametrize(
    ("ready", "leaving", "serves"), [("True", False, True), ("False", False, False), ("True", True, False)]
)
def test_only_ready_pods_serve(ready: str, leaving: bool, serves: bool) -> None:
    metadata = {
        "namespace": "team",
        "name": "chat-1",
        "labels": {"medley.dev/service": "chat", "medley.dev/variant": "l40s-a", "pod-template-hash": "5d8f"},
    } | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {})
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    found = ready_pod({"metadata": metadata, "spec": {"containers": [{}]}, "status": status})
    assert found == (Pod(Key("team", "chat-1"), "chat", "l40s-a", "5d8f") if serves else None)
