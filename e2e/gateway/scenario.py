"""The steps of a run: each changes one thing under load, waits until the plan has followed, and measures the shares.

A step ends only when the next begins, so that what happens between belongs to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.fleet.load import Workload
from e2e.gateway.oracle import LEAST_JUDGED_REQUESTS, Measured, Played
from e2e.gateway.world import NAME, NAMESPACE, World

FOLLOW_SECONDS = 150.0
MEASURE_SECONDS = 150.0
# What the plan is made for may lie this far off the load that is sent: the operator's band and the noise of a window.
CLOSE = 0.15
PROPAGATION_SECONDS = 3.0
"""From a change of the route until shares are judged by it."""
_SPARE = 1.05
_OLD_IMAGE, NEW_IMAGE = "vllm/vllm-openai:v0.32.0", "vllm/vllm-openai:v0.32.0-post1"


@dataclass(frozen=True, slots=True)
class Step:
    """`image` None: the images stay."""

    name: str
    load: Workload
    image: str | None = None


_SHORT = {"prompt_tokens_mean": 300, "generation_tokens_mean": 20}
_LONG = {"prompt_tokens_mean": 1000, "generation_tokens_mean": 20}
STEPS = (
    Step("steady", Workload(rate_rps=100, **_SHORT)),
    Step("more load", Workload(rate_rps=250, **_SHORT)),
    Step("longer prompts", Workload(rate_rps=100, **_LONG)),
    Step("new image", Workload(rate_rps=100, **_LONG), image=NEW_IMAGE),
    Step("less load", Workload(rate_rps=80, **_SHORT)),
)

SERVICE: dict[str, Any] = {
    "apiVersion": "medley.dev/v1alpha1",
    "kind": "LLMService",
    "metadata": {"name": NAME, "namespace": NAMESPACE},
    "spec": {
        "model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct", "maxModelLen": 16384},
        "slo": {"ttft": "2s", "tpot": "60ms", "percentile": 95},
        "workload": {
            "window": "30s",
            "static": {"requestsPerSecond": "100", "promptTokens": 300, "generationTokens": 20},
        },
        # Two variants always serve, so that there are shares to judge.
        "variants": [
            {"poolRef": "l4", "tensorParallel": 1, "minReplicas": 2},
            {"poolRef": "l40s", "tensorParallel": 1, "minReplicas": 1},
            {"poolRef": "a100", "tensorParallel": 1},
            {"poolRef": "h100", "tensorParallel": 1},
        ],
        "scaling": {"maxReplicas": 32},
        "routing": {"gatewayRef": {"name": "inference"}},
    },
}


def play(world: World, steps: Sequence[Step], *, say: Callable[[str], None]) -> Iterator[Played]:
    """All steps, one after the other. AssertionError where the plan does not follow one."""
    image = _OLD_IMAGE
    world.wait_for("the service is Ready", lambda: _condition(world, "Ready"), seconds=FOLLOW_SECONDS)
    seconds = world.wait_for("the gateway answers", world.answers, seconds=FOLLOW_SECONDS)
    say(f"the gateway answers {seconds:.1f} s after it accepted the route and a pod was Ready")
    for step in steps:
        since = time.time()
        world.set_load(step.load)
        if step.image is not None:
            image = step.image
            world.set_image(image)
        seconds = world.wait_for(
            f"{step.name}: the plan follows", lambda step=step, image=image: _settled(world, step, image),  # type: ignore[misc]
            seconds=FOLLOW_SECONDS,
        )  # fmt: skip
        measured = _measure(world, step)
        status = world.service()["status"]
        say(f"{step.name}: {status['mix']} after {seconds:.0f} s, weights {dict(measured.weights)}")
        yield Played(step.name, since, time.time(), measured, status["mix"])


def _condition(world: World, kind: str, reason: str | None = None) -> bool:
    conditions = world.service().get("status", {}).get("conditions", [])
    return any(
        each["type"] == kind and each["status"] == "True" and reason in (None, each["reason"]) for each in conditions
    )


def _settled(world: World, step: Step, image: str) -> bool:
    """Whether the plan is for about this load, everything that it asks for is Ready, and all run this image."""
    status = world.service().get("status", {})
    seen = status.get("load", {})
    if seen.get("source") != "Prometheus":
        return False
    pairs = (
        (float(seen["requestsPerSecond"]), step.load.rate_rps),
        (seen["promptTokens"], step.load.prompt_tokens_mean),
    )
    return (
        all(abs(is_ - should) <= CLOSE * should for is_, should in pairs)
        and _condition(world, "WorkloadsReady", "AllReady")
        and all(variant["ready"] == variant["desired"] for variant in status["variants"])
        and world.images() == {image}
    )


def _measure(world: World, step: Step) -> Measured:
    """A time with as many requests as shares are judged by, in which the weights do not change."""
    deadline = time.monotonic() + MEASURE_SECONDS
    needed = LEAST_JUDGED_REQUESTS * _SPARE / step.load.rate_rps
    weights = world.weights()
    since = time.time() + PROPAGATION_SECONDS
    while time.time() < since + needed:
        time.sleep(0.5)
        now = world.weights()
        if now != weights:
            weights, since = now, time.time() + PROPAGATION_SECONDS
        if time.monotonic() > deadline:
            raise AssertionError(f"{step.name}: the weights of the route do not rest for {needed:.0f} s")
    return Measured(since=since, until=since + needed, weights=weights)
