"""The engine of a Deployment's pods is read from the manifest, or left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.domain.engine.pods import EnginePods, engine_pods
from medley_operator.domain.values import labels
from medley_operator.domain.values.power import GpuHeld, PowerFacts
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_operator.domain.values.views import PodView
from medley_planner.capacity import EngineKey, StepFactors
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.model import Bucket, Demand, SizeSource
from medley_planner.shapes import Precision
from tests.unit.operator import factories
from tests.unit.operator.domain.speed.test_calibration import RUN, deployment, pods_of, snapshot_of


def test_the_engine_of_a_deployment_is_read_from_its_arguments() -> None:
    flags = (("--tensor-parallel-size", "2"), ("--quantization", "fp8"), ("--max-num-batched-tokens", "1024"))
    run = pods_of(deployment(flags=flags))
    version = factories.profile().spec.version
    assert run.key.engine == EngineKey(
        RUN.shape.name, Layout(gpu("L4"), tensor_parallel=2, precision=Precision.FP8, engine_version=version)
    )
    assert (run.run_as.token_budget, run.settled) == (1024, True)


def test_the_spread_of_prompts_is_that_of_what_the_service_is_asked_for() -> None:
    snapshot = snapshot_of(deployment())
    buckets = (Bucket(200, 100), Bucket(20_000, 100))
    demand = Demand(1.0, buckets, (0.9, 0.1), SizeSource.INDEPENDENT)
    seen = {ServiceKey.of(service): Observation(MetricsReason.FOUND, demand) for service in snapshot.services}
    (run,) = engine_pods(replace(snapshot, observations=seen)).values()
    assert run.prompt_spread == pytest.approx((0.9 * 200**2 + 0.1 * 20_000**2) / 2180**2)
    (unknown,) = engine_pods(snapshot).values()
    assert unknown.prompt_spread == 1.0


def test_an_engine_whose_cache_format_is_not_known_is_left_out() -> None:
    assert engine_pods(snapshot_of(deployment(arguments=["--kv-cache-dtype=int4"]))) == {}


@pytest.mark.parametrize("status", [{"observedGeneration": 2}, {"updatedReplicas": 1}])
def test_while_it_rolls_out_pods_are_of_two_kinds(status: dict[str, int]) -> None:
    assert not pods_of(deployment(status=status)).settled


def test_an_image_that_is_not_the_profiles_is_another_engine() -> None:
    manifest = deployment()
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "vllm/vllm-openai:other"
    assert not pods_of(manifest).settled


@pytest.mark.parametrize("flags", [(("--quantization", "awq"),), (("--tensor-parallel-size", "two"),)])
def test_arguments_that_no_variant_sets_are_left_out(flags: tuple[tuple[str, str], ...]) -> None:
    assert engine_pods(snapshot_of(deployment(flags=flags))) == {}


def test_capped_engines_are_of_another_layout_than_uncapped_ones() -> None:
    """What is learned of both is not pooled, and of pods that are capped differently, or since a moment ago, nothing is
    learned."""
    before = snapshot_of(deployment())
    (free,) = engine_pods(before).values()
    (key,) = engine_pods(before)
    placed = tuple(
        PodView(key[0], f"p{i}", f"p{i}", {}, node=f"n{i}", labels={labels.SERVICE: key[1], labels.VARIANT: key[2]})
        for i in range(2)
    )

    def seen(**caps: tuple[GpuHeld, ...]) -> EnginePods:
        snapshot = replace(before, pods=placed, power=PowerFacts(caps=caps), unix_seconds=10_000.0)
        (found,) = engine_pods(snapshot).values()
        return found

    low, whole = GpuHeld(79), GpuHeld(100)
    capped = seen(n0=(low,), n1=(low, low))
    assert (free.run_as.layout.clock_percent, capped.run_as.layout.clock_percent) == (100, 79)
    assert capped.settled
    assert capped.key != free.key
    assert capped.prior(StepFactors()).constants["_compute_base"] > free.prior(StepFactors()).constants["_compute_base"]
    assert not seen(n0=(low,), n1=(whole,)).settled
    assert not seen(n0=(low,)).settled, "a node without caps"
    assert not seen(n0=(low,), n1=(replace(low, changed_at=9_900.0),)).settled
    assert seen(n0=(low,), n1=(replace(low, changed_at=9_000.0),)).settled
    mine = (replace(low, pods=(f"{key[0]}/p0",)), replace(whole, pods=("other/p",)))
    assert seen(n0=mine, n1=(low,)).settled, "the GPU of its own pod counts where it is known"
