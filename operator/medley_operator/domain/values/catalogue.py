"""Look-ups in the planner's GPU and model catalogues that answer with a value instead of an exception. Pure."""

from __future__ import annotations

import json
from dataclasses import replace

from medley_operator.api.v1alpha1 import LLMService, ModelCapacity, ModelSource, ModelSpec
from medley_operator.domain.values.conditions import PlanReason
from medley_planner.bad_input import shown
from medley_planner.catalog import Catalogue, Gpu, UnknownGpu
from medley_planner.refusal import Refusal
from medley_planner.shapes import (
    BYTES_APART,
    BadConfig,
    BadSizes,
    DeclaredModel,
    ModelShape,
    Precision,
    UnknownModel,
    bundled_shape,
    declared_shape,
    model_id,
    shape_from_config,
)


def find_gpu(name: str, catalogue: Catalogue) -> Gpu | None:
    """The GPU type of that name or alias; None where the catalogue lacks it."""
    try:
        return catalogue.gpu(name)
    except UnknownGpu:
        return None


def unknown_gpu(field: str, name: str, catalogue: Catalogue) -> Refusal:
    """Why a field that names a GPU cannot be used."""
    return Refusal("UnknownGpu", f'{field} "{name}": {UnknownGpu(name, catalogue.names()).way_out}')


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
    """The shape of the service's model: from the sizes or the config.json that it gives, else from the catalogue; with
    the bytes of its weights where it says them."""
    model = service.spec.model
    if model.capacity is not None:
        return _declared(model_name(service), model, model.capacity)
    found = _known(model) if model.config_json is None else _read(model_name(service), model.config_json)
    if isinstance(found, Refusal) or model.weight_bytes is None:
        return found
    counted = found.counted_weight_bytes(found.precision)
    if not counted / BYTES_APART <= model.weight_bytes <= counted * BYTES_APART:
        return Refusal(
            PlanReason.UNKNOWN_MODEL,
            f"spec.model.weightBytes {model.weight_bytes} is far from the {counted:.0f} bytes of {found.name} in "
            f"{found.precision}; give bytes of all weights as medley model show prints them, or leave it out",
        )
    return replace(found, stated_weight_bytes=model.weight_bytes)


def _known(model: ModelSpec) -> ModelShape | Refusal:
    field, named = ("uri", model.uri) if model.id is None else ("id", model.id)
    try:
        return bundled_shape(named)
    except UnknownModel as error:
        return Refusal(PlanReason.UNKNOWN_MODEL, f"spec.model.{field} is {shown(named)}: {error.way_out}")


def _read(name: str, text: str) -> ModelShape | Refusal:
    # Parsed here: the planner takes a text that is not an object for the path of a file, and this text is a tenant's.
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        return _bad_config(f"is not JSON ({error}); paste the model's config.json as it is")
    if not isinstance(config, dict):
        return _bad_config(f"is a JSON {type(config).__name__}; paste the model's config.json, an object, as it is")
    try:
        return shape_from_config(config, name=name)
    except BadConfig as error:
        return _bad_config(f"cannot be used: {error}")


def _declared(name: str, model: ModelSpec, given: ModelCapacity) -> ModelShape | Refusal:
    if model.weight_bytes is None:
        raise AssertionError("the model's rules let capacity pass without weightBytes")
    sizes = DeclaredModel(
        weight_bytes=model.weight_bytes,
        parameters=given.parameters,
        layers=given.layers,
        hidden=given.hidden_size,
        kv_bytes_per_token=given.kv_bytes_per_token,
        state_bytes_per_sequence=given.state_bytes_per_sequence,
        active_parameters=given.active_parameters,
        experts=given.experts,
        experts_per_token=given.experts_per_token,
        heads=given.attention_heads,
        kv_heads=given.key_value_heads,
        precision=Precision(given.precision.value),
    )
    try:
        return declared_shape(name, sizes)
    except BadSizes as error:
        return Refusal(PlanReason.UNKNOWN_MODEL, f"spec.model: {error}")


def _bad_config(problem: str) -> Refusal:
    return Refusal(PlanReason.UNKNOWN_MODEL, f"spec.model.configJson {problem}")
