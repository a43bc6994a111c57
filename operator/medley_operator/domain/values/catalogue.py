"""Look-ups in the planner's GPU and model catalogues that answer with a value instead of an exception. Pure."""

from __future__ import annotations

import json

from medley_operator.api.v1alpha1 import LLMService, ModelSource
from medley_operator.domain.values.conditions import PlanReason
from medley_planner.bad_input import shown
from medley_planner.catalog import Gpu, UnknownGpu, gpu, known_gpus
from medley_planner.refusal import Refusal
from medley_planner.shapes import BadConfig, ModelShape, UnknownModel, bundled_shape, model_id, shape_from_config


def known_gpu_names() -> tuple[str, ...]:
    return known_gpus()


def find_gpu(name: str) -> Gpu | None:
    """The GPU type of that name or alias; None where the catalogue lacks it."""
    try:
        return gpu(name)
    except UnknownGpu:
        return None


def model_name(service: LLMService) -> str:
    """Name of the model for all that is learned of it: organisation/model where the service says it, else its address.

    The claim of another namespace may hold another model, so that its address alone does not say which.
    """
    model = service.spec.model
    if model.id is not None:
        return model.id
    if model.source is ModelSource.CLAIM:
        return f"{model.source}://{service.metadata.namespace}/{model.location}"
    return model_id(model.uri)


def find_shape(service: LLMService) -> ModelShape | Refusal:
    """The shape of the service's model: from its own config.json where it gives one, else from the catalogue."""
    model = service.spec.model
    if model.config_json is None:
        field, named = ("uri", model.uri) if model.id is None else ("id", model.id)
        try:
            return bundled_shape(named)
        except UnknownModel as error:
            return Refusal(PlanReason.UNKNOWN_MODEL, f"spec.model.{field} is {shown(named)}: {error.way_out}")
    # Parsed here: the planner takes a text that is not an object for the path of a file, and this text is a tenant's.
    try:
        config = json.loads(model.config_json)
    except (ValueError, RecursionError) as error:
        return _bad_config(f"is not JSON ({error}); paste the model's config.json as it is")
    if not isinstance(config, dict):
        return _bad_config(f"is a JSON {type(config).__name__}; paste the model's config.json, an object, as it is")
    try:
        return shape_from_config(config, name=model_name(service))
    except BadConfig as error:
        return _bad_config(f"cannot be used: {error}")


def _bad_config(problem: str) -> Refusal:
    return Refusal(PlanReason.UNKNOWN_MODEL, f"spec.model.configJson {problem}")
