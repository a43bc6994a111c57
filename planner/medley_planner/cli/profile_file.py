"""Reads a ModelProfile from YAML or JSON for `medley estimate --profile`: what it is of, and its factors.

Reads the named file. The operator reads such objects through its API models; here only what an estimate needs is read,
and every value that is used is checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.capacity.fit import LEAST_FACTOR, MOST_FACTOR, NoFit, fit_points
from medley_planner.capacity.points import LoadPoint
from medley_planner.capacity.speed import DERATES, PARTS, StepFactors
from medley_planner.catalog import Catalogue
from medley_planner.documents import BadText, yaml_values
from medley_planner.layout import EngineKind, KvFormat, Layout
from medley_planner.shapes import ModelShape, Precision
from medley_planner.units import duration_seconds

MOST_WHOLE = 10**9
E = TypeVar("E", bound=StrEnum)


class BadProfile(BadInput):
    """The profile cannot be used; `where` is its file."""


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """The layout of a profile, and its measurements. `spec` is as written, but for what is read here."""

    path: Path
    model: str
    layout: Layout
    kv_tokens: int | None
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MeasuredFactors:
    """`error`: mean relative error of TPOT, as a share, at least what plans allow for; `reason`: where it is from."""

    factors: StepFactors
    error: float
    reason: str


def read_profile(path: Path, catalogue: Catalogue) -> ProfileFile:
    """Raises BadProfile, UnknownGpu."""
    spec = _spec(path)
    kv_tokens = None if spec.get("kvTokens") is None else _whole(spec, "kvTokens", path)
    model = spec.get("model")
    if not isinstance(model, str) or not model:
        raise BadProfile(str(path), "spec.model", spec.get("model", MISSING), "give the model's name")
    return ProfileFile(
        path=path,
        model=model,
        layout=Layout(
            catalogue.gpu(str(spec.get("gpu", ""))),
            tensor_parallel=_whole(spec, "tensorParallel", path, default=1),
            precision=_one_of(Precision, spec, "precision", Precision.BF16, path),
            kv_format=_one_of(KvFormat, spec, "kvPrecision", KvFormat.BF16, path),
            engine=_one_of(EngineKind, spec, "engine", EngineKind.VLLM, path),
            engine_version=str(spec.get("engineVersion", "")),
        ),
        kv_tokens=kv_tokens,
        spec=spec,
    )


def measured_factors(profile: ProfileFile, shape: ModelShape) -> MeasuredFactors:
    """The factors, fitted where the profile gives points. Raises BadProfile."""
    spec, path = profile.spec, profile.path
    stated = _number(spec, "errorPercent", path, default=0.0) / 100.0
    least = 1.0 - DERATES.measured
    given, points = spec.get("stepFactors"), spec.get("points") or []
    if (given is None) == (not points) or not isinstance(points, list):
        raise BadProfile.whole(str(path), "give either spec.stepFactors or spec.points")
    source = f"{path.name}, {profile.layout.engine} {profile.layout.engine_version or 'of unknown version'}"
    if given is not None:
        if not isinstance(given, Mapping):
            raise BadProfile(str(path), "spec.stepFactors", given, "give fixed, compute, sequence and kv")
        values = {part: _number(given, part, path, default=1.0, under="spec.stepFactors.") for part in PARTS}
        beyond = next((part for part in PARTS if not LEAST_FACTOR <= values[part] <= MOST_FACTOR), None)
        if beyond is not None:
            way_out = f"give {LEAST_FACTOR:g} to {MOST_FACTOR:g}"
            raise BadProfile(str(path), f"spec.stepFactors.{beyond}", values[beyond], way_out)
        return MeasuredFactors(StepFactors(**values), max(stated, least), f"factors of {source}")
    fit = fit_points(
        [_point(point, index, path) for index, point in enumerate(points)],
        shape=shape,
        layout=profile.layout,
        token_budget=_whole(spec, "tokenBudget", path, default=8192),
        max_sequences=_whole(spec, "maxSequences", path, default=1024),
        kv_tokens=profile.kv_tokens,
    )
    if isinstance(fit, NoFit):
        raise BadProfile.whole(f"{path}: spec.points", fit.reason)
    refused = f", {len(fit.refused)} refused ({fit.refused[0][1]})" if fit.refused else ""
    return MeasuredFactors(fit.factors, max(stated, fit.error, least), f"{fit.used} points of {source}{refused}")


def _spec(path: Path) -> Mapping[str, Any]:
    try:
        documents = yaml_values(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadProfile.whole(str(path), f"cannot be read ({reason}); give the YAML of a ModelProfile") from None
    except BadText as error:
        raise BadProfile.whole(str(path), str(error)) from None
    profiles = [one for one in documents if isinstance(one, Mapping) and one.get("kind") == "ModelProfile"]
    if len(profiles) != 1:
        raise BadProfile.whole(str(path), f"holds {len(profiles)} ModelProfiles; give a file with exactly one")
    spec = profiles[0].get("spec")
    if not isinstance(spec, Mapping):
        raise BadProfile(str(path), "spec", profiles[0].get("spec", MISSING), "give one, see docs/profiles.md")
    return spec


def _point(point: Any, index: int, path: Path) -> LoadPoint:
    under = f"spec.points[{index}]."
    if not isinstance(point, Mapping):
        raise BadProfile(str(path), under[:-1], point, "give promptTokens, generationTokens, a load and tpot")

    def optional(name: str) -> float | None:
        return None if point.get(name) is None else _number(point, name, path, under=under)

    def seconds(name: str) -> float | None:
        if point.get(name) is None:
            return None
        try:
            return duration_seconds(str(point[name]))
        except ValueError as error:
            raise BadProfile.whole(f"{path}: {under}{name}", str(error)) from None

    return LoadPoint(
        prompt_tokens=_number(point, "promptTokens", path, under=under),
        generation_tokens=_number(point, "generationTokens", path, under=under),
        concurrency=optional("concurrency"),
        rate_rps=optional("requestsPerSecond"),
        ttft_seconds=seconds("ttft"),
        tpot_seconds=seconds("tpot"),
        requests=int(_number(point, "requests", path, default=1.0, under=under)),
    )


def _one_of(kind: type[E], values: Mapping[str, Any], name: str, default: E, path: Path) -> E:
    found = values.get(name, default)
    try:
        return kind(str(found))
    except ValueError:
        known = ", ".join(each.value for each in kind)
        raise BadProfile(str(path), f"spec.{name}", found, f"use one of {known}") from None


def _number(
    values: Mapping[str, Any], name: str, path: Path, *, default: float | None = None, under: str = "spec."
) -> float:
    found = values.get(name, default)
    try:
        value = float(found) if not isinstance(found, bool) and found is not None else math.nan
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise BadProfile(str(path), f"{under}{name}", MISSING if found is None else found, "give a number of 0 or more")
    return value


def _whole(values: Mapping[str, Any], name: str, path: Path, *, default: int | None = None) -> int:
    found = values.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= MOST_WHOLE:
        raise BadProfile(str(path), f"spec.{name}", found, f"give a whole number from 1 to {MOST_WHOLE:g}")
    return found
