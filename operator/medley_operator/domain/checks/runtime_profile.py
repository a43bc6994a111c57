"""What a RuntimeProfile must satisfy: `RUNTIME_PROFILE_CHECKS`, in the order in which they are asked. Pure.

A profile that is refused shows so in its own status, and so does each service that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medley_operator.api.v1alpha1 import RuntimeProfile
from medley_operator.domain.engine.arguments import RESERVED, flag_of, flags_of
from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.refusal import Refusal
from medley_planner.layout import EngineKind
from medley_planner.units import duration_seconds
from medley_planner.variants import unreadable_argument


def arguments_leave_out_what_medley_sets(profile: RuntimeProfile) -> Refusal | None:
    """An engine flag that is set twice would hold whichever comes last."""
    return _reserved("args", profile.spec.args)


def allowed_arguments_leave_out_what_medley_sets(profile: RuntimeProfile) -> Refusal | None:
    """Nor may a profile allow the services that use it to set such a flag."""
    return _reserved("allowedArgs", profile.spec.allowed_args)


def arguments_can_be_read(profile: RuntimeProfile) -> Refusal | None:
    """What Medley plans by, such as the format of the KV cache, has a value that it knows."""
    problem = unreadable_argument(EngineKind.VLLM, flags_of(profile.spec.args))
    return None if problem is None else _invalid(f"spec.args {problem}")


def startup_timeout_is_above_zero(profile: RuntimeProfile) -> Refusal | None:
    """With no time to start, no engine ever becomes Ready."""
    if duration_seconds(profile.spec.startup_timeout) > 0:
        return None
    return _invalid(f'spec.startupTimeout "{profile.spec.startup_timeout}" must be above 0, such as "30m"')


RUNTIME_PROFILE_CHECKS: tuple[Callable[[RuntimeProfile], Refusal | None], ...] = (
    arguments_leave_out_what_medley_sets,
    allowed_arguments_leave_out_what_medley_sets,
    arguments_can_be_read,
    startup_timeout_is_above_zero,
)


def _reserved(field: str, arguments: Sequence[str]) -> Refusal | None:
    for index, argument in enumerate(arguments):
        if flag_of(argument) in RESERVED:
            return _invalid(f'spec.{field}[{index}] "{argument}": {flag_of(argument)} is set by Medley; remove it')
    return None


def _invalid(message: str) -> Refusal:
    return Refusal(PlanReason.INVALID_SPEC, message)
