"""Bad objects beside a good one: each says what is wrong and what to do, and the good one goes on."""

from __future__ import annotations

import time
from typing import Any

import pytest

from e2e.controlplane import CommandFailed
from e2e.harness import Harness

pytestmark = pytest.mark.e2e

NAMESPACE = "bad"


def _service(name: str, **spec: Any) -> dict[str, Any]:
    workload = {"source": "Static", "static": {"requestsPerSecond": "1", "promptTokens": 300, "generationTokens": 100}}
    model = {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct", "maxModelLen": 8192}
    return {
        "apiVersion": "medley.dev/v1alpha1",
        "kind": "LLMService",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"model": model, "workload": workload, "slo": {"ttft": "2s", "tpot": "60ms"}, **spec},
    }


CASES = [
    (
        _service("unknown-pool", variants=[{"poolRef": "no-such-pool"}]),
        ("PlanReady", "PoolNotFound", ["spec.variants[0].poolRef", "no-such-pool"]),
    ),
    (
        _service("unknown-profile", runtime={"profileRef": "no-such-profile"}),
        ("PlanReady", "ProfileNotFound", ["spec.runtime.profileRef", "no-such-profile"]),
    ),
    (
        _service("impossible-target", slo={"ttft": "1ms", "tpot": "1ms"}),
        ("PlanReady", "TargetImpossible", ["spec.slo"]),
    ),
    (
        _service("too-large", model={"uri": "hf://meta-llama/Llama-3.1-70B-Instruct"}, variants=[{"poolRef": "l4"}]),
        ("PlanReady", "ModelFitsNoPool", ["l4"]),
    ),
    (
        _service("unknown-model", model={"uri": "hf://nobody/knows-this"}),
        ("PlanReady", "UnknownModel", ["spec.model.uri", "nobody/knows-this", "configJson"]),
    ),
    (
        _service("no-gateway", routing={"gatewayRef": {"name": "no-such-gateway"}}),
        ("RoutingReady", "GatewayNotFound", ["spec.routing.gatewayRef", "no-such-gateway"]),
    ),
    (
        _service("forbidden-flag", runtime={"args": ["--trust-remote-code=true"]}),
        ("PlanReady", "ArgumentNotAllowed", ["spec.runtime.args", "--trust-remote-code"]),
    ),
]


@pytest.fixture(scope="module")
def applied(harness: Harness) -> Harness:
    harness.plane.kubectl("create", "namespace", NAMESPACE)
    for manifest, _ in CASES:
        harness.apply_object(manifest)
    harness.apply_object(_service("good"))
    return harness


@pytest.mark.parametrize(("manifest", "expected"), CASES, ids=[case[0]["metadata"]["name"] for case in CASES])
def test_a_bad_object_says_what_is_wrong(
    applied: Harness, manifest: dict[str, Any], expected: tuple[str, str, list[str]]
) -> None:
    name = manifest["metadata"]["name"]
    kind, reason, fragments = expected
    condition = applied.wait_for(
        f"{name}: {kind} is False",
        lambda: (
            found
            if (found := applied.condition("llms", NAMESPACE, name, kind)).get("reason") == reason
            and found["status"] == "False"
            else None
        ),
        timeout_seconds=30,
    )
    missing = [fragment for fragment in fragments if fragment not in condition["message"]]
    assert missing == [], condition["message"]
    assert len(condition["message"]) > 40


def test_the_good_one_goes_on(applied: Harness) -> None:
    applied.wait_for(
        "good is Ready",
        lambda: applied.condition("llms", NAMESPACE, "good", "Ready").get("status") == "True",
        timeout_seconds=30,
    )


def test_wrong_units_are_refused_at_once(applied: Harness) -> None:
    with pytest.raises(CommandFailed, match=r"spec\.slo\.tpot"):
        applied.apply_object(_service("wrong-units", slo={"tpot": "50 milliseconds"}))
    with pytest.raises(CommandFailed, match=r"spec\.workload"):
        applied.apply_object(_service("wrong-window", workload={"window": "100ms"}))


def test_two_services_of_the_same_model_are_both_planned_and_told(applied: Harness) -> None:
    for name in ("twin-a", "twin-b"):
        service = _service(name)
        service["spec"]["model"]["name"] = "twin"
        applied.apply_object(service)
    for name in ("twin-a", "twin-b"):
        applied.wait_for(
            f"{name} is Ready",
            lambda name=name: applied.condition("llms", NAMESPACE, name, "Ready").get("status") == "True",  # type: ignore[misc]
            timeout_seconds=30,
        )
    told = [applied.condition("llms", NAMESPACE, name, "ModelNameUnique") for name in ("twin-a", "twin-b")]
    messages = [condition["message"] for condition in told if condition.get("status") == "False"]
    assert messages
    assert "spec.model.name" in messages[0]
    assert "twin" in messages[0]


def test_a_service_deleted_while_it_is_planned_harms_nobody(applied: Harness) -> None:
    for round_number in range(5):
        name = f"short-lived-{round_number}"
        applied.apply_object(_service(name))
        time.sleep(0.3 * round_number)
        applied.plane.kubectl("delete", "llms", name, "-n", NAMESPACE, "--wait=false")
    applied.wait_for(
        "their children are gone",
        lambda: (
            not any(
                item["metadata"]["labels"].get("medley.dev/service", "").startswith("short-lived")
                for item in applied.list_objects("deployments.apps", NAMESPACE)
            )
        ),
        timeout_seconds=60,
    )
    assert applied.plane.child("operator").alive()
    assert applied.condition("llms", NAMESPACE, "good", "Ready")["status"] == "True"


def test_they_are_taken_away_again(applied: Harness) -> None:
    # The services first: in a namespace that ends, what they own may go before them, and cannot be made again.
    applied.plane.kubectl("delete", "llms", "--all", "-n", NAMESPACE)
    applied.plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
