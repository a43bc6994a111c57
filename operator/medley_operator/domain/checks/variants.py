"""Checks of the variants that a service could be planned with: what it asks of pools and model, and what is left of it.

Each answers None or a Refusal that names the field, the value and the way out. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import LLMService, RuntimeProfile, VariantSpec
from medley_operator.api.v1alpha1.fields import mebibytes
from medley_operator.domain.checks.service_input import ServiceInput
from medley_operator.domain.engine.storage import downloaded_gib
from medley_operator.domain.values.candidates import PoolState
from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.variants.requested import (
    image_refusal,
    precision_refusal_of,
    precisions_of,
    token_budgets_of,
)
from medley_planner.refusal import Refusal, first_refusal
from medley_planner.shapes import ModelShape


@dataclass(frozen=True, slots=True)
class Wish:
    """An entry of `spec.variants` with all that it is checked against. `field` names it, as in spec.variants[0]."""

    entry: VariantSpec
    field: str
    service: LLMService
    profile: RuntimeProfile
    shape: ModelShape
    pools: dict[str, PoolState]

    @property
    def pool(self) -> PoolState:
        """Once `pool_is_there` has passed."""
        return self.pools[self.entry.pool_ref]


def a_pool_exists(given: ServiceInput) -> Refusal | None:
    """A service that names no pool may run on all of them."""
    if given.pools or given.service.spec.variants:
        return None
    message = "the cluster has no GPUPool; create one for each type of GPU node (kubectl explain gpupool.spec)"
    return Refusal(PlanReason.POOL_NOT_FOUND, message)


def each_wish_can_be_met(given: ServiceInput) -> Refusal | None:
    """Each entry of `spec.variants` passes `WISH_CHECKS`; the first that does not counts."""
    pools = {state.pool.metadata.name: state for state in given.pools}
    for index, entry in enumerate(given.service.spec.variants):
        wish = Wish(entry, f"spec.variants[{index}]", given.service, given.profile, given.shape, pools)
        refusal = first_refusal(WISH_CHECKS, wish)
        if refusal is not None:
            return refusal
    return None


def pool_is_there(wish: Wish) -> Refusal | None:
    """There is a GPUPool of the name that the entry gives."""
    if wish.entry.pool_ref in wish.pools:
        return None
    present = ", ".join(wish.pools) or "none"
    message = (
        f'{wish.field}.poolRef "{wish.entry.pool_ref}": there is no such GPUPool (existing: {present}); create it or '
        "name another"
    )
    return Refusal(PlanReason.POOL_NOT_FOUND, message)


def pool_can_be_used(wish: Wish) -> Refusal | None:
    """The pool itself is accepted."""
    refusal = wish.pool.refusal
    if refusal is None:
        return None
    return _invalid(
        f'{wish.field}.poolRef "{wish.entry.pool_ref}" names a GPUPool that cannot be used: {refusal.message}'
    )


def pool_has_an_image(wish: Wish) -> Refusal | None:
    """The profile has an image for the GPUs of the pool."""
    lacking = image_refusal(wish.profile, wish.pool)
    return Refusal(PlanReason.NO_IMAGE, f"{wish.field}.poolRef: {lacking}") if lacking else None


def degree_fits_a_node(wish: Wish) -> Refusal | None:
    """All GPUs of a replica sit on one node."""
    per_node = wish.pool.pool.spec.capacity.gpus_per_node
    if wish.entry.tensor_parallel is None or wish.entry.tensor_parallel <= per_node:
        return None
    return _invalid(
        f"{wish.field}.tensorParallel {wish.entry.tensor_parallel} exceeds spec.capacity.gpusPerNode {per_node} of "
        f'GPUPool "{wish.entry.pool_ref}"; lower it'
    )


def precision_is_one_of_the_models(wish: Wish) -> Refusal | None:
    """The model says which weight formats its variants may have."""
    allowed = precisions_of(wish.service, wish.shape)
    if wish.entry.precision is None or wish.entry.precision.value in allowed:
        return None
    way_out = "" if wish.shape.checkpoint is not None else ", or set spec.model.precision to Auto"
    return _invalid(
        f"spec.model.precision {wish.service.spec.model.precision} allows {' and '.join(allowed)}, and not "
        f"{wish.field}.precision {wish.entry.precision}; remove it{way_out}"
    )


def token_budget_is_offered(wish: Wish) -> Refusal | None:
    """The profile says which token budgets its engines may run with."""
    budgets = token_budgets_of(wish.profile)
    if wish.entry.token_budget is None or wish.entry.token_budget in budgets:
        return None
    return _invalid(
        f"{wish.field}.tokenBudget {wish.entry.token_budget} is not offered by RuntimeProfile "
        f'"{wish.profile.metadata.name}" ({", ".join(map(str, budgets))}); use one of them, or have it added to the '
        "profile's spec.tokenBudgets"
    )


WISH_CHECKS: tuple[Callable[[Wish], Refusal | None], ...] = (
    pool_is_there,
    pool_can_be_used,
    pool_has_an_image,
    degree_fits_a_node,
    precision_is_one_of_the_models,
    token_budget_is_offered,
)
"""Checks that an entry of `spec.variants` must pass, in this order."""


def model_is_known(given: ServiceInput) -> Refusal | None:
    """The model's shape is in the catalogue, or its config.json is given and can be read."""
    return given.found_shape if isinstance(given.found_shape, Refusal) else None


def precision_is_the_checkpoints(given: ServiceInput) -> Refusal | None:
    """The checkpoint has the format that is asked for, or the engine makes it."""
    refused = precision_refusal_of(given.service, given.shape)
    return _invalid(refused) if refused else None


def an_image_runs_on_a_pool(given: ServiceInput) -> Refusal | None:
    """The profile has an image for the GPUs of at least one pool that can be used."""
    usable = [state for state in given.pools if state.refusal is None]
    lacking = [image_refusal(given.profile, state) for state in usable]
    return Refusal(PlanReason.NO_IMAGE, "; ".join(lacking)) if lacking and all(lacking) else None


def weights_fit_the_cache(given: ServiceInput) -> Refusal | None:
    """A pod that fills more than its cache holds is evicted, at each start anew."""
    cache = given.profile.spec.cache
    if cache is None or cache.empty_dir is None:
        return None
    needed_gib = downloaded_gib(given.service, given.profile)
    if mebibytes(cache.empty_dir.size_limit) >= needed_gib * 1024:
        return None
    return _invalid(
        f'spec.cache.emptyDir.sizeLimit {cache.empty_dir.size_limit} of RuntimeProfile "{given.profile.metadata.name}" '
        f'is below the {needed_gib}Gi of weights of spec.model.uri "{given.service.spec.model.uri}"; raise it, remove '
        "it, or keep weights on a claim (spec.cache.persistentVolumeClaim)"
    )


def length_is_within_the_model(given: ServiceInput) -> Refusal | None:
    """A model has positions for its longest sequence, and for no longer one."""
    length, most = given.service.spec.model.max_model_len, given.shape.max_position
    if most is None or length <= most:
        return None
    return _invalid(
        f"spec.model.maxModelLen {length} is above the {most} positions of {given.shape.name}; set it to at most {most}"
    )


def names_are_unique(given: ServiceInput) -> Refusal | None:
    """Two entries of `spec.variants` that mean different variants have different names."""
    clash = given.offered.clash
    return None if clash is None else _invalid(clash)


def model_fits_a_pool(given: ServiceInput) -> Refusal | None:
    """At least one pool has GPUs that hold the weights and the KV cache of one sequence."""
    offered = given.offered
    if offered.rows:
        return None
    shape, precisions = offered.engine.shape, offered.engine.precisions
    smallest = min(precisions, key=shape.weight_bytes)
    each = "; ".join(f"{pool.variant}: {pool.message}" for pool in offered.omitted)
    way_out = "name a checkpoint of fewer bits"
    if shape.checkpoint is None:
        way_out = "set spec.model.precision to FP8 or Auto on GPUs that have FP8"
    return Refusal(
        PlanReason.MODEL_FITS_NO_POOL,
        f'spec.model.uri "{given.service.spec.model.uri}" ({shape.weight_bytes(smallest) / 1e9:.0f} GB of weights in '
        f"{smallest}) fits no pool: {each}. Lower spec.model.maxModelLen, {way_out}, or add a GPUPool with more or "
        "larger GPUs per node",
    )


def replicas_pack_onto_paid_nodes(given: ServiceInput) -> Refusal | None:
    """Where whole nodes are paid, replicas must pack onto them, which is planned for degrees that divide each other.

    Powers of two always do, so that the answer does not hang on what other services ask for. Only a wish has another.
    """
    for row in given.offered.rows:
        ask, degree = given.offered.asks[row.source], row.replica.layout.gpus
        if ask.state.pool.spec.cost.per_node_hour is None or degree.bit_count() == 1:
            continue
        return _invalid(
            f'{ask.field}.tensorParallel {degree}: GPUPool "{ask.state.pool.metadata.name}" is paid by the node '
            "(spec.cost.perNodeHour), which allows only tensor parallel degrees 1, 2, 4, 8, ...; use one of them, or "
            "price the pool by the GPU (spec.cost.perHour)"
        )
    return None


def _invalid(message: str) -> Refusal:
    return Refusal(PlanReason.INVALID_SPEC, message)
