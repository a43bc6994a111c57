"""Engines of real models on the catalogue's GPUs: they differ as the GPUs do, and say why one would not start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from e2e.fleet.arguments import UnknownEngine
from e2e.fleet.physics import spec_factory
from medley_planner.catalog import UnknownGpu
from tests.unit.e2e.fleet_cases import engine, pod, request

LLAMA = ("meta-llama/Llama-3.1-8B-Instruct", "--served-model-name=llama", "--max-model-len=16384", "--dtype=bfloat16")


def test_a_faster_gpu_is_faster_and_holds_more() -> None:
    spec_of = spec_factory({})
    specs = {gpu: spec_of(replace(pod("a"), gpu=gpu, args=LLAMA), None) for gpu in ("L4", "A100-80", "H100")}
    times = {}
    for gpu, spec in specs.items():
        queue, alone = engine(spec), request(0, prompt=1000, generation=100)
        queue.submit(alone)
        queue.advance(alone.arrival + 60)
        times[gpu] = (alone.ttft_seconds or 0, alone.tpot_seconds or 0)
    assert times["L4"] > times["A100-80"] > times["H100"] > (0, 0)
    assert 0.05 < times["L4"][1] < 0.12  # 16 GB of weights at some 230 GB/s
    assert specs["L4"].spec.kv_tokens < specs["A100-80"].spec.kv_tokens


def test_a_cache_of_half_the_bytes_holds_twice_the_tokens() -> None:
    spec_of = spec_factory({})
    tokens = [
        spec_of(replace(pod("a"), gpu="H100", args=(*LLAMA, *flags)), None).spec.kv_tokens
        for flags in ((), ("--kv-cache-dtype=auto",), ("--kv-cache-dtype=fp8",))
    ]
    assert tokens[0] == tokens[1]
    assert tokens[2] == pytest.approx(2 * tokens[0], abs=32)


def test_truth_bends_one_gpu_type_only() -> None:
    spec_of = spec_factory({"L4": 1.2})
    for gpu, factor in (("NVIDIA-L4", 1.2), ("H100", 1.0)):
        served = spec_of(replace(pod("a"), gpu=gpu, args=LLAMA), None)
        step = served.spec.step.seconds(prefill_tokens=0, prefill_attended=0, decode_sequences=8, kv_tokens=0)
        assert served.table.decode[8] == pytest.approx(factor * step)
    with pytest.raises(UnknownGpu, match="L5"):
        spec_factory({"L5": 1.0})


@pytest.mark.parametrize(
    ("gpu", "args", "says"),
    [
        ("", LLAMA, "no label medley.dev/gpu"),
        ("L5", LLAMA, '"L5": it is not in the catalogue'),
        ("L4", ("org/unknown", "--max-model-len=10"), "org/unknown"),
        ("L4", (*LLAMA, "--quantization=awq"), "--quantization=awq is not modelled"),
        ("L4", (*LLAMA, "--dtype=float32"), "--dtype=float32 is not modelled"),
        ("L4", (*LLAMA, "--kv-cache-dtype=int4"), "--kv-cache-dtype=int4 is not modelled"),
        ("L4", (*LLAMA, "--max-model-len=130000"), "would not start"),
    ],
)
def test_an_engine_that_cannot_be_stood_in_for_says_why(gpu: str, args: tuple[str, ...], says: str) -> None:
    with pytest.raises(UnknownEngine, match=says):
        spec_factory({})(replace(pod("a"), gpu=gpu, args=args), None)
