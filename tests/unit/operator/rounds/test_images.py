"""Engines run with the image of their GPU's vendor; a pool that has none is not planned with, and both sides say so."""

from __future__ import annotations

from medley_operator.domain.engine.deployment import DeploymentInput, render_deployment
from medley_operator.domain.prepare import prepare
from medley_operator.domain.report.platform_status import pool_status
from medley_operator.domain.values.memories import FleetMemory
from tests.unit.operator import factories as make

ROCM = {"vendor": "AMD", "image": "vllm/vllm-openai-rocm:v0.32.0"}
AMD = make.pool("mi300x", gpu="MI300X", price="2", gpus_per_node=8, resourceName="amd.com/gpu")
BOTH = (make.pool("h100", gpu="H100", price="3", gpus_per_node=8), AMD)


def test_a_pool_without_an_image_is_left_out_and_told_of() -> None:
    prepared = prepare(make.snapshot(make.service(), pools=BOTH), FleetMemory())
    (candidate,) = prepared.services
    assert {known.variant.pool for known in candidate.variants} == {"h100"}
    (left_out,) = [each for each in candidate.omitted if each.pool == "mi300x"]
    assert (left_out.reason, "no image" in left_out.message) == ("PoolNotUsable", True)
    assert "spec.images" in left_out.message


def test_with_an_image_the_pool_is_planned_and_its_pods_run_it() -> None:
    profile = make.profile(images=[ROCM])
    prepared = prepare(make.snapshot(make.service(), pools=BOTH, profiles=[profile]), FleetMemory())
    (candidate,) = prepared.services
    images = {}
    for known in candidate.variants:
        given = DeploymentInput(
            service=candidate.service, profile=profile, pool=known.pool, variant=known.variant.name,
            layout=known.layout, gpus_per_replica=known.variant.gpus_per_replica, engine_flags=known.engine_flags,
            replicas=1, surge=True, replica=known.replica,
        )  # fmt: skip
        (container,) = render_deployment(given)["spec"]["template"]["spec"]["containers"]
        images[known.variant.pool] = container["image"]
    assert images == {"h100": "vllm/vllm-openai:v0.32.0", "mi300x": ROCM["image"]}


def test_no_image_at_all_is_the_reason_of_service_and_pool() -> None:
    snapshot = make.snapshot(make.service(), pools=(AMD,))
    prepared = prepare(snapshot, FleetMemory())
    (candidate,) = prepared.services
    assert candidate.refusal is not None
    assert candidate.refusal.reason == "NoImage"
    write = pool_status(prepared.pools[0], snapshot.profiles, planned_gpus=0, planned_nodes=None, now=make.NOW)
    assert write is not None
    (ready,) = [each for each in write.status["conditions"] if each["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "NoImage")
    assert "AMD" in ready["message"]
