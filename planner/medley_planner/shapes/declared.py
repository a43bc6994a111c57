"""A model whose sizes someone gives by hand, because its architecture is not in the table. Pure.

The sizes are those that memory and step time follow from; what is not given is taken so that a plan promises less, not
more: without heads each GPU keeps the whole KV cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.shapes.checkpoint import Checkpoint
from medley_planner.shapes.layer import Cache, FeedForward, Layers, Mixer, ModelLayer, Weights
from medley_planner.shapes.precision import BF16_BYTES, Precision
from medley_planner.shapes.shape import ModelShape

_FLOPS_PER_PAIR = 4
"""Operations for one number of the hidden state where one token attends to another: a product for the score and one
for the value, two operations each."""
BYTES_APART = 2.0
"""Weights that are stated are believed within this factor of what formats and parameters say."""


class BadSizes(BadInput):
    """Sizes of a model that contradict each other; `field` is the one to correct."""


@dataclass(frozen=True, slots=True)
class DeclaredModel:
    """`weight_bytes`: all weights as the engine loads them. `parameters`: all of them, of which a token uses
    `active_parameters` (None: all). `kv_bytes_per_token`: in a BF16 cache, of all layers that keep all tokens.
    `heads`, `kv_heads`: what tensor parallelism divides; None: nothing is known. `experts`: in each layer, 0 for none,
    of which a token uses `experts_per_token`."""

    weight_bytes: int
    parameters: int
    layers: int
    hidden: int
    kv_bytes_per_token: int
    state_bytes_per_sequence: int = 0
    active_parameters: int | None = None
    experts: int = 0
    experts_per_token: int = 0
    heads: int | None = None
    kv_heads: int | None = None
    precision: Precision = Precision.BF16


def declared_shape(name: str, model: DeclaredModel) -> ModelShape:
    """The model as layers alike. Raises BadSizes."""
    least, most = model.precision.weight_bytes / BYTES_APART, BF16_BYTES * BYTES_APART
    if not least * model.parameters <= model.weight_bytes <= most * model.parameters:
        raise BadSizes(
            "",
            "weightBytes",
            model.weight_bytes,
            f"{model.parameters} parameters in {model.precision} take {least * model.parameters:.3g} to "
            f"{most * model.parameters:.3g} bytes; correct one of the two",
        )
    layer, experts = _layer(model)
    return ModelShape(
        name=name,
        hidden=model.hidden,
        vocab=0,
        kinds=(Layers(model.layers, layer),),
        more_parameters=0,
        checkpoint=_checkpoint(model, experts=experts),
        stated_weight_bytes=model.weight_bytes,
    )


def _layer(model: DeclaredModel) -> tuple[ModelLayer, int]:
    """And the parameters of one expert."""
    active = model.parameters if model.active_parameters is None else model.active_parameters
    if active > model.parameters:
        raise BadSizes("", "activeParameters", active, f"give at most parameters, {model.parameters}")
    expert = 0
    if model.experts and model.active_parameters is None:
        raise BadSizes("", "activeParameters", MISSING, "a model with experts needs it")
    if model.experts:
        idle = model.experts - model.experts_per_token
        if idle < 0 or not model.experts_per_token:
            way_out = f"give 1 to experts, {model.experts}"
            raise BadSizes("", "expertsPerToken", model.experts_per_token, way_out)
        expert = (model.parameters - active) // (model.layers * idle) if idle else 0
    each = max(active // model.layers - model.experts_per_token * expert, 1)
    heads, kv_heads = model.heads or 0, model.kv_heads or model.heads or 0
    cached = model.kv_bytes_per_token / BF16_BYTES / model.layers
    mixer = Mixer(
        parts=(Weights("layer", each),),
        caches=(Cache(cached / (kv_heads or 1), heads=kv_heads),) if cached else (),
        state_bytes=model.state_bytes_per_sequence / model.layers,
        heads=heads,
        kv_heads=kv_heads,
        flops_per_pair=_FLOPS_PER_PAIR * model.hidden if cached else 0.0,
    )
    part = FeedForward(
        (), experts=model.experts if expert else 0, experts_per_token=model.experts_per_token, expert_parameters=expert
    )
    return ModelLayer(mixer, part if expert else None), expert


def _checkpoint(model: DeclaredModel, *, experts: int) -> Checkpoint | None:
    if model.precision is Precision.BF16:
        return None
    each = model.weight_bytes / model.parameters
    return Checkpoint(
        method="by hand",
        precision=model.precision,
        dense_precision=model.precision,
        dense_bytes=each,
        expert_bytes=each if experts else BF16_BYTES,
    )
