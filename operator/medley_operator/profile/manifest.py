"""The `ModelProfile` manifest of a set of measurements: shared by all that writes profiles. Pure.

The measured loads themselves are written where they fit, so that a later operator can fit them anew with a better
model; else the factors that were fitted to them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from medley_operator.api.v1alpha1 import API_VERSION, MAX_POINTS, Dns1123Subdomain, ModelProfile
from medley_planner.capacity.fit import Fit
from medley_planner.capacity.points import LoadPoint
from medley_planner.layout import EngineKind, KvFormat, Layout
from medley_planner.shapes import model_id
from medley_planner.units import decimal

MAX_NAME_LENGTH = 63
_UNFIT = re.compile(r"[^a-z0-9.]+")


def model_profile_manifest(
    *,
    model: str,
    layout: Layout,
    fit: Fit,
    points: Sequence[LoadPoint],
    tool: str,
    measured_at: str | None = None,
    note: str = "",
    kv_tokens: int | None = None,
    token_budget: int = 8192,
    max_sequences: int = 1024,
    name: str | None = None,
) -> dict[str, Any]:
    """The manifest as plain JSON values, without defaults, as `kubectl apply` takes it.

    `points` are all measured points, `fit` is their fit; the points that it refused are left out. `measured_at` is RFC
    3339 in UTC with whole seconds ("2026-11-27T13:00:00Z"), `token_budget` and `max_sequences` the measured engine's
    limits. `name` None: made from model and layout. Raises pydantic's ValidationError where the API does not take a
    value.
    """
    refused = [point for point, _ in fit.refused]
    kept = [point for point in points if point not in refused]
    written: dict[str, Any] = {
        "model": model_id(model),
        "gpu": layout.gpu.name,
        "tensorParallel": layout.tensor_parallel,
        "precision": layout.precision.value,
        "engineVersion": layout.engine_version,
        "errorPercent": decimal(min(100.0 * fit.error, 999.0), digits=1),
        "source": {"tool": tool} | ({"note": note} if note else {}),
    }
    if layout.engine is not EngineKind.VLLM:
        written["engine"] = layout.engine.value
    if layout.kv_format is not KvFormat.BF16:
        written["kvPrecision"] = layout.kv_format.value
    if kv_tokens is not None:
        written["kvTokens"] = kv_tokens
    if measured_at is not None:
        written["measuredAt"] = measured_at
    if 0 < len(kept) <= MAX_POINTS:
        written |= {"tokenBudget": token_budget, "maxSequences": max_sequences}
        written["points"] = [_point(point) for point in kept]
    else:
        factors = fit.factors
        written["stepFactors"] = {
            "fixed": decimal(factors.fixed, digits=4),
            "compute": decimal(factors.compute, digits=4),
            "sequence": decimal(factors.sequence, digits=4),
            "kv": decimal(factors.kv, digits=4),
        }
    metadata = {"name": name or profile_name(model, layout)}
    TypeAdapter(Dns1123Subdomain).validate_python(metadata["name"])
    ModelProfile.model_validate({"metadata": metadata, "spec": written})
    return {"apiVersion": API_VERSION, "kind": "ModelProfile", "metadata": metadata, "spec": written}


def profile_name(model: str, layout: Layout) -> str:
    """`llama-3.1-8b-instruct-h100-tp1-bf16`: a legal object name of at most 63 characters."""
    cache = "" if layout.kv_format is KvFormat.BF16 else f"-kv-{layout.kv_format}"
    tail = _UNFIT.sub("-", f"{layout.gpu.name}-tp{layout.tensor_parallel}-{layout.precision}{cache}".lower())
    head = _UNFIT.sub("-", model.rsplit("/", 1)[-1].lower()).strip("-.")
    return f"{head[: MAX_NAME_LENGTH - len(tail) - 1].strip('-.')}-{tail}".strip("-.")


def _point(point: LoadPoint) -> dict[str, Any]:
    written: dict[str, Any] = {
        "promptTokens": decimal(point.prompt_tokens, digits=3),
        "generationTokens": decimal(point.generation_tokens, digits=3),
    }
    if point.concurrency is not None:
        written["concurrency"] = decimal(point.concurrency, digits=3)
    if point.rate_rps is not None:
        written["requestsPerSecond"] = decimal(point.rate_rps, digits=6)
    if point.ttft_seconds is not None:
        written["ttft"] = f"{decimal(1e3 * point.ttft_seconds, digits=3)}ms"
    if point.tpot_seconds is not None:
        written["tpot"] = f"{decimal(1e3 * point.tpot_seconds, digits=3)}ms"
    return written | {"requests": point.requests}
