"""Rules of a spec that the API models do not hold, since they compare objects or parts that lie far from each other.

Each check answers with a Rejection or None. A message names the field, the value and the way out. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from medley_operator.api.v1alpha1 import GPUPool, LLMService, RuntimeProfile
from medley_operator.domain.engine.arguments import flag_of, flags_of, reserved_flags
from medley_operator.domain.values.candidates import Rejection, VariantCandidate
from medley_operator.domain.values.conditions import PlanReason
from medley_planner.variants import unreadable_argument

MIN_WINDOW_SECONDS = 10.0
MAX_WINDOW_SECONDS = 86400.0
"""Bounds of `spec.workload.window`, as the API models have them."""


def check_spec(service: LLMService) -> Rejection | None:
    """First broken rule of an LLMService's own spec."""
    message = _static_workload(service) or _variant_minima(service)
    return Rejection(PlanReason.INVALID_SPEC, message) if message is not None else None


def check_arguments(service: LLMService, profile: RuntimeProfile) -> Rejection | None:
    """The service may only set flags that its profile allows, and never one that Medley sets."""
    allowed = profile.spec.allowed_args
    for index, argument in enumerate(service.spec.runtime.args):
        flag = flag_of(argument)
        field = f'spec.runtime.args[{index}] "{argument}"'
        if flag in reserved_flags(profile.spec.engine):
            message = f"{field}: {flag} is set by Medley and cannot be given; remove it"
            return Rejection(PlanReason.ARGUMENT_NOT_ALLOWED, message)
        if flag not in allowed:
            listed = ", ".join(allowed) or "none"
            return Rejection(
                PlanReason.ARGUMENT_NOT_ALLOWED,
                f'{field}: RuntimeProfile "{profile.metadata.name}" does not allow {flag} (allowed: {listed}); '
                "remove it, or ask for it in the profile's spec.allowedArgs",
            )
    problem = unreadable_argument(profile.spec.engine, flags_of(service.spec.runtime.args))
    return Rejection(PlanReason.ARGUMENT_NOT_ALLOWED, f"spec.runtime.args {problem}") if problem is not None else None


def check_profile(profile: RuntimeProfile) -> str | None:
    """Message of the first broken rule of a RuntimeProfile, or None."""
    for name, arguments in (("args", profile.spec.args), ("allowedArgs", profile.spec.allowed_args)):
        for index, argument in enumerate(arguments):
            if flag_of(argument) in reserved_flags(profile.spec.engine):
                return f'spec.{name}[{index}] "{argument}": {flag_of(argument)} is set by Medley; remove it'
    problem = unreadable_argument(profile.spec.engine, flags_of(profile.spec.args))
    if problem is not None:
        return f"spec.args {problem}"
    if profile.spec.startup_timeout_seconds <= 0:
        return f'spec.startupTimeout "{profile.spec.startup_timeout}" must be above 0, such as "30m"'
    return None


def price_problem(pool: GPUPool) -> str | None:
    """A GPU without a price cannot be planned with: any number of them would cost the same."""
    cost = pool.spec.cost
    if pool.spec.gpu_cost_per_hour() > 0:
        return None
    if cost.per_node_hour is not None:
        return f'spec.cost.perNodeHour "{cost.per_node_hour}" must be above 0; give what one node costs per hour'
    return f'spec.cost.perHour "{cost.per_hour}" must be above 0; give what one GPU costs per hour'


def check_degrees(service: LLMService, variants: Sequence[VariantCandidate]) -> Rejection | None:
    """Where whole nodes are paid, replicas must pack onto them, which is planned for degrees that divide each other.

    Powers of two always do, so that the answer does not hang on what other services ask for.
    """
    for candidate in variants:
        degree = candidate.variant.gpus_per_replica
        if candidate.pool.spec.cost.per_node_hour is None or degree.bit_count() == 1:
            continue
        asked = next(
            (
                f"spec.variants[{index}].tensorParallel {degree}"
                for index, wish in enumerate(service.spec.variants)
                if wish.pool_ref == candidate.variant.pool and wish.tensor_parallel == degree
            ),
            f'variant "{candidate.variant.name}" of {degree} GPUs',
        )
        return Rejection(
            PlanReason.INVALID_SPEC,
            f'{asked}: GPUPool "{candidate.variant.pool}" is paid by the node (spec.cost.perNodeHour), where only '
            "tensor-parallel degrees 1, 2, 4, 8, ... are planned; set one of them, or have the pool priced by the GPU "
            "(spec.cost.perHour)",
        )
    return None


def _static_workload(service: LLMService) -> str | None:
    workload = service.spec.workload
    if workload.static is None:
        return None
    tokens = workload.static.prompt_tokens + workload.static.generation_tokens
    limit = service.spec.model.max_model_len
    if tokens > limit:
        return (
            f"spec.workload.static: promptTokens {workload.static.prompt_tokens} + generationTokens "
            f"{workload.static.generation_tokens} = {tokens} is above spec.model.maxModelLen {limit}; raise "
            "maxModelLen or lower the sizes"
        )
    return None


def _variant_minima(service: LLMService) -> str | None:
    asked = sum(variant.min_replicas for variant in service.spec.variants)
    if asked <= service.spec.scaling.max_replicas:
        return None
    return (
        f"spec.variants: minReplicas add up to {asked}, above spec.scaling.maxReplicas "
        f"{service.spec.scaling.max_replicas}; lower them or raise maxReplicas"
    )
