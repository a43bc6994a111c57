"""What the chart grants the operator beside what it did: nothing was denied, and no right is granted that is not used.

It comes after the other scenarios, whose requests count too, and does by itself what may never come up in them: a route
that is not wanted any more, a variant that goes, a budget under another name, objects of each kind of the platform's.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from e2e.harness import EXAMPLES, OPERATOR_NAMESPACE, Harness, Load
from e2e.rights import Right, granted, refused, used

pytestmark = pytest.mark.e2e

NAMESPACE, NAME = "demo", "rights"
SELECTOR = f"medley.dev/service={NAME}"
WAIT_SECONDS = 60.0
CALIBRATION_SECONDS = 240.0
LACKING = (
    "watch verticalpodautoscalers.autoscaling.k8s.io",
    "watch clusterqueues.kueue.x-k8s.io",
    "watch nodepools.karpenter.sh",
)
"""Rights on kinds that this control plane lacks: they are asked for, and never followed."""


def service(pool: str, mode: str) -> dict[str, Any]:
    static = {"requestsPerSecond": "2", "promptTokens": 300, "generationTokens": 100}
    return {
        "apiVersion": "medley.dev/v1alpha1",
        "kind": "LLMService",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct", "maxModelLen": 8192},
            "slo": {"ttft": "2s", "tpot": "100ms"},
            "workload": {"window": "1m", "static": static},
            "variants": [{"poolRef": pool, "tensorParallel": 1}],
            "routing": {"mode": mode, "gatewayRef": {"name": "inference"}},
        },
    }


@pytest.fixture(scope="module")
def played(harness: Harness) -> Harness:
    """The harness after everything that needs a right was done."""
    harness.apply(EXAMPLES / "modelprofile.yaml", EXAMPLES / "medleypolicy.yaml", EXAMPLES / "gputype.yaml")
    harness.apply_object(service("l4", "InferencePool"))
    harness.set_load(NAMESPACE, NAME, Load(rate_rps=4, prompt_tokens=300, generation_tokens=100))
    wait_ready(harness, "l4")
    harness.wait_for("its pool of endpoints", lambda: len(pools(harness)) == 1, timeout_seconds=WAIT_SECONDS)
    harness.apply_object(service("l4", "HTTPRoute"))
    harness.wait_for("the pool is gone", lambda: pools(harness) == [], timeout_seconds=WAIT_SECONDS)
    stray_budget(harness)
    harness.apply_object(service("l40s", "Service"))
    wait_ready(harness, "l40s")
    for resource in ("httproutes.gateway.networking.k8s.io", "deployments.apps"):
        harness.wait_for(
            f"no {resource} of before",
            lambda resource=resource: all(  # type: ignore[misc]
                "l40s" in each["metadata"]["name"] for each in harness.list_objects(resource, NAMESPACE, SELECTOR)
            ),
            timeout_seconds=WAIT_SECONDS,
        )
    harness.wait_for("the stray budget is gone", lambda: budgets(harness) == [NAME], timeout_seconds=WAIT_SECONDS)
    harness.wait_for(
        "what was learned is stored",
        lambda: "medley-calibration" in harness.plane.kubectl("get", "configmaps", "-n", OPERATOR_NAMESPACE),
        timeout_seconds=CALIBRATION_SECONDS,
    )
    harness.plane.kubectl("delete", "llms", NAME, "-n", NAMESPACE)
    return harness


def wait_ready(harness: Harness, pool: str) -> None:
    def ready() -> bool:
        rows = harness.get("llmservices", NAMESPACE, NAME).get("status", {}).get("variants", [])
        return any(row["pool"] == pool and row["ready"] >= row["desired"] > 0 for row in rows)

    harness.wait_for(f"replicas on {pool} are Ready", ready, timeout_seconds=WAIT_SECONDS)


def pools(harness: Harness) -> list[dict[str, Any]]:
    return harness.list_objects("inferencepools.inference.networking.k8s.io", NAMESPACE, SELECTOR)


def budgets(harness: Harness) -> list[str]:
    return [each["metadata"]["name"] for each in harness.list_objects("poddisruptionbudgets", NAMESPACE, SELECTOR)]


def stray_budget(harness: Harness) -> None:
    """One more budget that the service owns, as a Medley of other names might have left it."""
    (found,) = harness.list_objects("poddisruptionbudgets", NAMESPACE, SELECTOR)
    metadata = {name: found["metadata"][name] for name in ("namespace", "labels", "ownerReferences")}
    stray = {name: found[name] for name in ("apiVersion", "kind", "spec")} | {
        "metadata": {**metadata, "name": f"{NAME}-of-before"}
    }
    harness.plane.kubectl("create", "-f", "-", stdin=json.dumps(stray))


def chart_rights(harness: Harness) -> frozenset[Right]:
    """What the installed chart grants the operator's own account."""
    manifests = harness.plane.helm("get", "manifest", "medley", "-n", OPERATOR_NAMESPACE)
    objects = [each for each in yaml.safe_load_all(manifests) if each]
    bound = {each["roleRef"]["name"] for each in objects if each["kind"] in ("RoleBinding", "ClusterRoleBinding")}
    return granted(
        each for each in objects if each["kind"] in ("Role", "ClusterRole") and each["metadata"]["name"] in bound
    )


def test_no_request_was_denied(played: Harness) -> None:
    requests = played.operator_requests(since=0)
    assert len(requests) > 50
    assert refused(requests) == []


def test_no_right_is_granted_that_is_not_used(played: Harness) -> None:
    rights = chart_rights(played)
    assert len(rights) > 40
    needed = used(played.operator_requests(since=0))
    assert [str(right) for right in sorted(rights - needed) if str(right) not in LACKING] == []
    assert [str(right) for right in sorted(needed - rights)] == []
