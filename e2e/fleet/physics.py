"""How the engine of a pod runs, from its arguments and its node's GPU: as the engines of a replay do.

The pod is read into the replica that it is. `TrueEngines` gives its step time and its memory by the data sheet, so that
GPU types differ as they should; what the planner makes of them (the rate within a target, derating) has no part here.
`truth` bends the step time per GPU type, because a real engine is never exactly its estimate.
"""

from __future__ import annotations

from collections.abc import Mapping

from e2e.fleet.arguments import EngineSettings, UnknownEngine, parse_arguments
from e2e.fleet.cluster import EnginePod
from e2e.fleet.engine import ServedEngine
from e2e.fleet.kubeview import GPU_LABEL
from e2e.fleet.simulation import SpecOf
from medley_operator.replay.engines import TrueEngines
from medley_planner.bad_input import BadInput
from medley_planner.catalog import Gpu, UnknownGpu, gpu
from medley_planner.layout import KvFormat, Layout
from medley_planner.shapes import (
    ModelShape,
    Precision,
    bundled_shape,
    shape_from_config,
)
from medley_planner.variants import Replica


def spec_factory(truth: Mapping[str, float]) -> SpecOf:
    """`truth`: real over estimated step time by GPU type of the catalogue; 1.0 where it has none.

    Raises `UnknownGpu` where it names a GPU that the catalogue lacks.
    """
    engines = TrueEngines({gpu(name).name: factor for name, factor in truth.items()})

    def spec_of(pod: EnginePod, model_config: str | None) -> ServedEngine:
        settings = parse_arguments(pod.args)
        card = _gpu(pod)
        shape = _shape(settings.model, model_config)
        replica = Replica(
            shape,
            Layout(
                card,
                tensor_parallel=settings.tensor_parallel,
                precision=_precision(settings, shape),
                kv_format=_kv_format(settings),
            ),
            token_budget=settings.max_batched_tokens,
            max_sequences=settings.max_sequences,
            max_model_len=settings.max_model_len,
            utilisation=settings.gpu_memory_utilization,
        )
        fit = replica.fit()
        if not fit.fits:
            raise UnknownEngine(f"the engine would not start: {fit.reason}")
        spec, table = engines.of(replica)
        return ServedEngine(settings.served_model_name, settings.gpu_memory_utilization, spec, table)

    return spec_of


def _gpu(pod: EnginePod) -> Gpu:
    if not pod.gpu:
        raise UnknownEngine(f"its node has no label {GPU_LABEL}; label the node with the GPU type that it stands for")
    try:
        return gpu(pod.gpu)
    except UnknownGpu as error:
        raise UnknownEngine(f"its node's label {GPU_LABEL}: {error}") from error


def _shape(model: str, model_config: str | None) -> ModelShape:
    try:
        return shape_from_config(model_config, name=model) if model_config else bundled_shape(model)
    except BadInput as error:
        raise UnknownEngine(str(error)) from error


def _precision(settings: EngineSettings, shape: ModelShape) -> Precision:
    if settings.quantization == "fp8":
        return Precision.FP8
    if settings.quantization:
        raise UnknownEngine(f"--quantization={settings.quantization} is not modelled; use fp8 or none")
    if settings.dtype not in ("auto", "bfloat16", "float16", "half"):
        raise UnknownEngine(f"--dtype={settings.dtype} is not modelled; use bfloat16")
    return shape.precision


def _kv_format(settings: EngineSettings) -> KvFormat:
    if settings.kv_cache_dtype in ("fp8", "fp8_e4m3", "fp8_e5m2"):
        return KvFormat.FP8
    if settings.kv_cache_dtype in ("auto", "bfloat16"):
        return KvFormat.BF16
    raise UnknownEngine(f"--kv-cache-dtype={settings.kv_cache_dtype} is not modelled; use auto, bfloat16 or fp8")
