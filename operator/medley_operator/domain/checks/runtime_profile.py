"""Checks that a RuntimeProfile must pass: `RUNTIME_PROFILE_CHECKS`, in the order in which they are asked. Pure.

A profile that is refused shows so in its own status, and so does each service that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from medley_operator.api.v1alpha1 import RuntimeProfile
from medley_operator.domain.engine.arguments import flag_of, flags_of, reserved_flags
from medley_operator.domain.engine.programs import PROGRAMS
from medley_operator.domain.firewall import guarded
from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.snapshot import ObjectFault, ObjectKey
from medley_planner.refusal import Refusal, first_refusal
from medley_planner.variants import unreadable_argument


def arguments_leave_out_what_medley_sets(profile: RuntimeProfile) -> Refusal | None:
    """An engine flag that is set twice would hold whichever comes last."""
    return _reserved(profile, "args", profile.spec.args)


def allowed_arguments_leave_out_what_medley_sets(profile: RuntimeProfile) -> Refusal | None:
    """Nor may a profile allow the services that use it to set such a flag."""
    return _reserved(profile, "allowedArgs", profile.spec.allowed_args)


def arguments_can_be_read(profile: RuntimeProfile) -> Refusal | None:
    """Medley knows the values of the flags that it plans by, such as the format of the KV cache."""
    problem = unreadable_argument(profile.spec.engine, flags_of(profile.spec.args))
    return None if problem is None else _invalid(f"spec.args {problem}")


def startup_timeout_is_above_zero(profile: RuntimeProfile) -> Refusal | None:
    """With no time to start, no engine ever becomes Ready."""
    if profile.spec.startup_timeout_seconds > 0:
        return None
    return _invalid(f'spec.startupTimeout "{profile.spec.startup_timeout}" must be above 0, such as "30m"')


def environment_leaves_out_what_medley_sets(profile: RuntimeProfile) -> Refusal | None:
    """The last of two variables of one name would count, and some move the engine's files or its GPUs."""
    program = PROGRAMS[profile.spec.engine]
    taken = program.reserved_environment | {name for name, _ in program.environment}
    for index, variable in enumerate(profile.spec.pod.env):
        if variable.name in taken:
            return _invalid(f'spec.pod.env[{index}].name "{variable.name}": Medley sets it itself; remove it')
    return None


RUNTIME_PROFILE_CHECKS: tuple[Callable[[RuntimeProfile], Refusal | None], ...] = (
    arguments_leave_out_what_medley_sets,
    allowed_arguments_leave_out_what_medley_sets,
    arguments_can_be_read,
    startup_timeout_is_above_zero,
    environment_leaves_out_what_medley_sets,
)


def profile_refusal(profile: RuntimeProfile) -> Refusal | None:
    """Why the profile cannot be used, also where it is this program that cannot read it; None where it can."""
    found = guarded(
        ObjectKey.of("RuntimeProfile", profile.metadata), partial(first_refusal, RUNTIME_PROFILE_CHECKS, profile)
    )
    return found.refusal if isinstance(found, ObjectFault) else found


def _reserved(profile: RuntimeProfile, field: str, arguments: Sequence[str]) -> Refusal | None:
    reserved = reserved_flags(profile.spec.engine)
    for index, argument in enumerate(arguments):
        if flag_of(argument) in reserved:
            return _invalid(f'spec.{field}[{index}] "{argument}": Medley sets {flag_of(argument)} itself; remove it')
    return None


def _invalid(message: str) -> Refusal:
    return Refusal(PlanReason.INVALID_SPEC, message)
