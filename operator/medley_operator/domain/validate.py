"""Rules of a spec that the API server's schema cannot hold, or that an older schema may have let through.

Each check answers with a Rejection or None. A message names the field, the value and the way out. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from medley_operator.api.v1alpha1 import LLMService, RuntimeProfile, WorkloadSource
from medley_operator.domain.conditions import PlanReason
from medley_operator.domain.contexts import Rejection
from medley_operator.domain.engine_args import RESERVED, flag_of
from medley_operator.domain.quantities import duration_seconds

MIN_WINDOW_SECONDS = 10.0
MAX_WINDOW_SECONDS = 86400.0
_SERVICE_NAME = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_FLAG = re.compile(r"^--[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)*(=.*)?$")


def check_spec(service: LLMService) -> Rejection | None:
    """First broken rule of an LLMService's own spec."""
    checks: Sequence[Callable[[LLMService], str | None]] = (
        _name,
        _durations,
        _window,
        _static_workload,
        _scaling,
        _variant_limits,
        _routing,
    )
    for check in checks:
        message = check(service)
        if message is not None:
            return Rejection(PlanReason.INVALID_SPEC, message)
    return None


def check_arguments(service: LLMService, profile: RuntimeProfile) -> Rejection | None:
    """The service may only set flags that its profile allows, and never one that Medley sets."""
    allowed = profile.spec.allowed_args
    for index, argument in enumerate(service.spec.runtime.args):
        flag = flag_of(argument)
        field = f'spec.runtime.args[{index}] "{argument}"'
        if flag in RESERVED:
            message = f"{field}: {flag} is set by Medley and cannot be given; remove it"
            return Rejection(PlanReason.ARGUMENT_NOT_ALLOWED, message)
        if flag not in allowed:
            listed = ", ".join(allowed) or "none"
            return Rejection(
                PlanReason.ARGUMENT_NOT_ALLOWED,
                f'{field}: RuntimeProfile "{profile.metadata.name}" does not allow {flag} (allowed: {listed}); '
                "remove it, or ask for it in the profile's spec.allowedArgs",
            )
    return None


def check_profile(profile: RuntimeProfile) -> str | None:
    """Message of the first broken rule of a RuntimeProfile, or None."""
    for name, arguments in (("args", profile.spec.args), ("allowedArgs", profile.spec.allowed_args)):
        for index, argument in enumerate(arguments):
            field = f'spec.{name}[{index}] "{argument}"'
            if _FLAG.match(argument) is None:
                return f"{field} is no flag; write --flag or --flag=value"
            if flag_of(argument) in RESERVED:
                return f"{field}: {flag_of(argument)} is set by Medley; remove it"
    try:
        startup_seconds = duration_seconds(profile.spec.startup_timeout)
    except ValueError as error:
        return f"spec.startupTimeout: {error}"
    if startup_seconds <= 0:
        return f'spec.startupTimeout "{profile.spec.startup_timeout}" must be above 0, such as "30m"'
    return None


def _name(service: LLMService) -> str | None:
    name = service.metadata.name
    if _SERVICE_NAME.match(name):
        return None
    return (
        f'metadata.name "{name}" cannot name a Service: it must start with a letter and hold only a-z, 0-9 and "-"; '
        "create the object under another name"
    )


def _durations(service: LLMService) -> str | None:
    spec = service.spec
    positive = {"spec.slo.ttft": spec.slo.ttft, "spec.slo.tpot": spec.slo.tpot}
    others = {"spec.drain.preStop": spec.drain.pre_stop, "spec.drain.timeout": spec.drain.timeout}
    for field, text in (positive | others).items():
        try:
            seconds = duration_seconds(text)
        except ValueError as error:
            return f"{field}: {error}"
        if field in positive and seconds <= 0:
            return f'{field} "{text}" must be above 0, such as "500ms"'
    return None


def _window(service: LLMService) -> str | None:
    text = service.spec.workload.window
    try:
        seconds = duration_seconds(text)
    except ValueError as error:
        return f"spec.workload.window: {error}"
    if MIN_WINDOW_SECONDS <= seconds <= MAX_WINDOW_SECONDS:
        return None
    return f'spec.workload.window "{text}" must be from 10s to 24h; the usual is "5m"'


def _static_workload(service: LLMService) -> str | None:
    workload = service.spec.workload
    if workload.static is None:
        if workload.source is WorkloadSource.STATIC:
            return 'spec.workload.source "Static" needs spec.workload.static (requestsPerSecond, promptTokens, generationTokens)'
        return None
    tokens = workload.static.prompt_tokens + workload.static.generation_tokens
    limit = service.spec.model.max_model_len
    if tokens > limit:
        return (
            f"spec.workload.static: promptTokens {workload.static.prompt_tokens} + generationTokens "
            f"{workload.static.generation_tokens} = {tokens} is above spec.model.maxModelLen {limit}; raise maxModelLen "
            "or lower the sizes"
        )
    return None


def _scaling(service: LLMService) -> str | None:
    scaling = service.spec.scaling
    if scaling.min_replicas > scaling.max_replicas:
        return (
            f"spec.scaling.minReplicas {scaling.min_replicas} is above maxReplicas {scaling.max_replicas}; "
            "lower the one or raise the other"
        )
    return None


def _variant_limits(service: LLMService) -> str | None:
    for index, variant in enumerate(service.spec.variants):
        if variant.max_replicas is not None and variant.min_replicas > variant.max_replicas:
            return (
                f"spec.variants[{index}].minReplicas {variant.min_replicas} is above maxReplicas "
                f"{variant.max_replicas}; lower the one or raise the other"
            )
    asked = sum(variant.min_replicas for variant in service.spec.variants)
    if asked > service.spec.scaling.max_replicas:
        return (
            f"spec.variants: minReplicas add up to {asked}, above spec.scaling.maxReplicas "
            f"{service.spec.scaling.max_replicas}; lower them or raise maxReplicas"
        )
    return None


def _routing(service: LLMService) -> str | None:
    routing = service.spec.routing
    if routing.effective_mode().value == "HTTPRoute" and routing.gateway_ref is None:
        return 'spec.routing.mode "HTTPRoute" needs spec.routing.gatewayRef.name, the Gateway that the route attaches to'
    return None
