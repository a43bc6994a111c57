"""Checks of what an LLMService says, and of the objects that it names: rules that the API models cannot hold, as they
compare objects, or fields that lie far from each other.

Each answers None or a Refusal that names the field, the value and the way out. An object that does not parse is not an
object that is gone. Pure.
"""

from __future__ import annotations

from medley_operator.api.v1alpha1 import ModelSource, Repeat, ScheduledEvent
from medley_operator.domain.checks.runtime_profile import profile_refusal
from medley_operator.domain.checks.service_input import ServiceInput
from medley_operator.domain.engine.arguments import flag_of, flags_of, reserved_flags, user_flags, version_of
from medley_operator.domain.engine.programs import PROGRAMS
from medley_operator.domain.values.conditions import PlanReason
from medley_planner.refusal import Refusal
from medley_planner.variants import unreadable_argument


def namespace_stays(given: ServiceInput) -> Refusal | None:
    """Nothing can be created in a namespace that is being deleted."""
    namespace = given.service.metadata.namespace
    if namespace not in given.snapshot.ending:
        return None
    return Refusal(
        PlanReason.NAMESPACE_ENDING,
        f"namespace {namespace} is being deleted (metadata.deletionTimestamp), so that nothing is planned, made or "
        "changed in it, and what runs ends with it. If it stays, see what holds it (kubectl get namespace "
        f"{namespace} -o yaml, status.conditions); create the LLMService in another namespace to go on",
    )


def static_sizes_fit_the_model_length(given: ServiceInput) -> Refusal | None:
    """The engine refuses a request that is longer than its longest sequence."""
    static, limit = given.service.spec.workload.static, given.service.spec.model.max_model_len
    if static is None or static.prompt_tokens + static.generation_tokens <= limit:
        return None
    return _invalid(
        f"spec.workload.static: promptTokens {static.prompt_tokens} + generationTokens {static.generation_tokens} = "
        f"{static.prompt_tokens + static.generation_tokens} is above spec.model.maxModelLen {limit}; raise "
        "maxModelLen or lower the sizes"
    )


def variant_minima_fit_the_maximum(given: ServiceInput) -> Refusal | None:
    """Replicas that each variant always keeps count against the service's maximum."""
    spec = given.service.spec
    asked = sum(variant.min_replicas for variant in spec.variants)
    if asked <= spec.scaling.max_replicas:
        return None
    return _invalid(
        f"spec.variants: minReplicas add up to {asked}, above spec.scaling.maxReplicas {spec.scaling.max_replicas}; "
        "lower them or raise maxReplicas"
    )


def events_do_not_contradict_each_other(given: ServiceInput) -> Refusal | None:
    """At each time one factor counts."""
    places = given.schedule.contradiction()
    if places is None:
        return None
    events = given.service.spec.workload.schedule
    (one, first), (other, second) = ((place, _event_text(events[place])) for place in places)
    return _invalid(
        f"spec.workload.schedule[{one}] ({first}) and schedule[{other}] ({second}) are in force at the same time; let "
        "one end before the other begins, or make one event of both"
    )


def _event_text(event: ScheduledEvent) -> str:
    often = "" if event.repeat is Repeat.NEVER else f" {event.repeat}"
    return f"{event.start} to {event.end}{often}, factor {event.factor}"


def profile_can_be_read(given: ServiceInput) -> Refusal | None:
    """The RuntimeProfile that the service names is an object that parses."""
    name = given.service.spec.runtime.profile_ref
    unreadable = given.unreadable("RuntimeProfile", name) if given.named_profile is None else None
    if unreadable is None:
        return None
    return _invalid(
        f'spec.runtime.profileRef "{name}" names a RuntimeProfile that cannot be read: {unreadable.refusal.message}'
    )


def profile_exists(given: ServiceInput) -> Refusal | None:
    """There is a RuntimeProfile of the name that the service gives."""
    if given.named_profile is not None:
        return None
    present = ", ".join(sorted(profile.metadata.name for profile in given.snapshot.profiles)) or "none"
    return Refusal(
        PlanReason.PROFILE_NOT_FOUND,
        f'spec.runtime.profileRef "{given.service.spec.runtime.profile_ref}": there is no such RuntimeProfile '
        f"(existing: {present}); create it or name another",
    )


def profile_can_be_used(given: ServiceInput) -> Refusal | None:
    """The RuntimeProfile itself is accepted."""
    name = given.profile.metadata.name
    refusal = profile_refusal(given.profile)
    if refusal is None:
        return None
    return _invalid(
        f'spec.runtime.profileRef "{name}" names a RuntimeProfile that cannot be used: {refusal.message} '
        f'(RuntimeProfile "{name}")'
    )


def arguments_are_allowed(given: ServiceInput) -> Refusal | None:
    """The service sets only flags that its profile allows, and never one that Medley sets."""
    allowed = given.profile.spec.allowed_args
    for index, argument in enumerate(given.service.spec.runtime.args):
        flag = flag_of(argument)
        field = f'spec.runtime.args[{index}] "{argument}"'
        if flag in reserved_flags(given.profile.spec.engine):
            message = f"{field}: Medley sets {flag} itself; remove it"
            return Refusal(PlanReason.ARGUMENT_NOT_ALLOWED, message)
        if flag not in allowed:
            listed = ", ".join(allowed) or "none"
            return Refusal(
                PlanReason.ARGUMENT_NOT_ALLOWED,
                f'{field}: RuntimeProfile "{given.profile.metadata.name}" does not allow {flag} (allowed: {listed}); '
                "remove it, or have it added to the profile's spec.allowedArgs",
            )
    return None


def arguments_can_be_read(given: ServiceInput) -> Refusal | None:
    """Medley knows the values of the flags that it plans by, such as the format of the KV cache."""
    problem = unreadable_argument(given.profile.spec.engine, flags_of(given.service.spec.runtime.args))
    return None if problem is None else Refusal(PlanReason.ARGUMENT_NOT_ALLOWED, f"spec.runtime.args {problem}")


def source_can_be_loaded(given: ServiceInput) -> Refusal | None:
    """The engine loads a bucket only in versions that stream it, and only as Medley starts it."""
    model, profile = given.service.spec.model, given.profile
    program = PROGRAMS[profile.spec.engine]
    if model.source not in (ModelSource.S3, ModelSource.GOOGLE_STORAGE):
        return None
    since = program.streams.get(model.source)
    if since is None or version_of(profile.spec.version) < since:
        needed = "no version does" if since is None else f"versions from {since[0]}.{since[1]} do"
        return _invalid(
            f'spec.model.uri "{model.uri}": {profile.spec.engine} {profile.spec.version} of RuntimeProfile '
            f'"{profile.metadata.name}" does not load {model.source}:// ({needed}); use another profile, hf://, '
            "pvc:// or oci://"
        )
    taken = sorted({flag for flag, _ in program.stream_flags} & set(user_flags(given.service, profile)))
    if not taken:
        return None
    return Refusal(
        PlanReason.ARGUMENT_NOT_ALLOWED,
        f'{taken[0]}: Medley sets it itself for spec.model.uri "{model.uri}"; remove it from spec.runtime.args and '
        f'from spec.args of RuntimeProfile "{profile.metadata.name}"',
    )


def pools_in_use_can_be_read(given: ServiceInput) -> Refusal | None:
    """A pool that this service runs on or names, and that does not parse, must not look like a pool that is gone."""
    service = given.service
    used = {variant.pool for variant in service.status.variants if given.last_replicas.get(variant.name, 0) > 0}
    used |= {variant.pool_ref for variant in service.spec.variants}
    for name in sorted(used):
        unreadable = given.unreadable("GPUPool", name)
        if unreadable is not None:
            return _invalid(f'GPUPool "{name}", which this service uses, cannot be read: {unreadable.refusal.message}')
    return None


def _invalid(message: str) -> Refusal:
    return Refusal(PlanReason.INVALID_SPEC, message)
