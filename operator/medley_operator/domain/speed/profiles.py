"""The use of each `ModelProfile`, the services that could use it, and its status. Pure.

The status of a profile that makes no sense says so, and everything else is planned as if it were not there: the
estimate of the data sheet stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from medley_operator.api.v1alpha1 import LLMService, ModelProfile, ModelProfileStatus, RuntimeProfile
from medley_operator.domain.engine.arguments import user_flags
from medley_operator.domain.firewall import Firewall
from medley_operator.domain.speed.profile_reading import read_profile
from medley_operator.domain.values.catalogue import find_gpu, find_shape
from medley_operator.domain.values.conditions import ACCEPTED, ConditionStatus, Draft, merge
from medley_operator.domain.values.decision import StatusWrite
from medley_operator.domain.values.profile_judgement import Judgement, Known
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ObjectFault, ObjectKey, Snapshot
from medley_operator.domain.variants.requested import precisions_of
from medley_planner.capacity import DERATES, Derates, EngineKey
from medley_planner.layout import EngineKind, KvFormat
from medley_planner.refusal import Refusal
from medley_planner.shapes import ModelShape, Precision
from medley_planner.variants import kv_format_of

IN_USE = "InUse"
"""The condition of a ModelProfile beside `ACCEPTED`."""
NOT_ACCEPTED = Draft(ConditionStatus.FALSE, "NotAccepted", "plans use the data sheet's estimates instead")
"""InUse of a profile that is not accepted."""


@dataclass(frozen=True, slots=True)
class Use:
    """One service: `model` and GPUs by the catalogue's names, `gpus_per_node` the most that a node of a pool has."""

    service: str
    model: str
    engine: tuple[EngineKind, str]
    """And its version."""
    precisions: tuple[Precision, ...]
    kv_format: KvFormat
    gpus_per_node: Mapping[str, int]
    max_model_len: int


def judge_profiles(
    snapshot: Snapshot, derates: Derates = DERATES, wall: Firewall | None = None
) -> tuple[Judgement, ...]:
    """One judgement for each profile, in the order of their names. The newest of several profiles of one engine
    counts. A profile that raises is refused, and a service that raises uses none; `wall` takes note of both."""
    if not snapshot.model_profiles:
        return ()
    wall = wall if wall is not None else Firewall()
    shapes = _shapes(snapshot, wall)
    found: list[tuple[ModelProfile, Known | Refusal]] = []
    for profile in sorted(snapshot.model_profiles, key=lambda profile: profile.metadata.name):
        read = wall.guard(_key(profile), partial(read_profile, profile.spec, shapes, derates, snapshot.catalogue))
        found.append((profile, read.refusal if isinstance(read, ObjectFault) else read))
    newest: dict[EngineKey, ModelProfile] = {}
    for profile, known in found:
        if isinstance(known, Known):
            other = newest.get(known.key)
            # Equal times: the first by name.
            if other is None or (profile.spec.measured_at or "") > (other.spec.measured_at or ""):
                newest[known.key] = profile
    uses = _uses_of(snapshot, wall)
    judged: list[Judgement] = []
    for profile, known in found:
        made = wall.guard(_key(profile), partial(_judgement, profile, known, newest, uses))
        judged.append(_refused(profile, made.refusal) if isinstance(made, ObjectFault) else made)
    return tuple(judged)


def _key(profile: ModelProfile) -> ObjectKey:
    return ObjectKey.of("ModelProfile", profile.metadata)


def _refused(profile: ModelProfile, refusal: Refusal) -> Judgement:
    accepted = Draft(ConditionStatus.FALSE, refusal.reason, refusal.message)
    return Judgement(profile=profile, known=refusal, counts=False, accepted=accepted, in_use=NOT_ACCEPTED)


def _judgement(
    profile: ModelProfile, known: Known | Refusal, newest: Mapping[EngineKey, ModelProfile], uses: Sequence[Use]
) -> Judgement:
    true, false = ConditionStatus.TRUE, ConditionStatus.FALSE
    if isinstance(known, Refusal):
        return _refused(profile, known)
    accepted = Draft(true, "Accepted", known.note)
    winner = newest.get(known.key, profile)
    if winner.metadata.name != profile.metadata.name:
        told = winner.spec.measured_at or "no time"
        message = (
            f'ModelProfile "{winner.metadata.name}" measures the same engine and is newer (spec.measuredAt {told}, '
            f"this one {profile.spec.measured_at or 'none'}); delete one of them"
        )
        in_use = Draft(false, "Superseded", message)
        return Judgement(profile=profile, known=known, counts=False, accepted=accepted, in_use=in_use)
    users = _users(known, uses)
    return Judgement(
        profile=profile,
        known=known,
        counts=True,
        accepted=accepted,
        in_use=Draft(false, users.reason, users.message) if isinstance(users, Refusal) else _in_use(users),
        users=() if isinstance(users, Refusal) else users,
    )


def _users(known: Known, uses: Sequence[Use]) -> tuple[str, ...] | Refusal:
    """The LLMServices that may run what was measured; where there are none, reason and message of InUse."""
    key, layout = known.key, known.key.layout
    model = [use for use in uses if use.model == key.model]
    if not model:
        return Refusal("Unused", f'no LLMService serves model "{key.model}"')
    version = [use for use in model if use.engine == (layout.engine, layout.engine_version)]
    if not version:
        run = ", ".join(sorted({" ".join(use.engine) for use in model}))
        return Refusal(
            "OtherEngineVersion",
            f"this profile measures {layout.engine} {layout.engine_version}, but the LLMServices of {key.model} run "
            f"{run}, so their variants stay estimated; measure that version",
        )
    ways = [use for use in version if layout.precision in use.precisions]
    if not ways:
        return Refusal("Unused", f"no LLMService of {key.model} allows precision {layout.precision}")
    ways = [use for use in ways if layout.kv_format is use.kv_format]
    if not ways:
        return Refusal("Unused", f"no LLMService of {key.model} runs it with a KV cache in {layout.kv_format}")
    placed = [use for use in ways if use.gpus_per_node.get(layout.gpu.name, 0) >= layout.gpus]
    if not placed:
        return Refusal("Unused", f"no GPUPool has {layout.hardware} on a node")
    kv_tokens = known.speed.kv_tokens
    roomy = [use for use in placed if kv_tokens is None or use.max_model_len <= kv_tokens]
    if not roomy:
        return Refusal(
            "TooFewKvTokens",
            f"spec.kvTokens {kv_tokens} is less than one sequence of spec.model.maxModelLen {placed[0].max_model_len} "
            f"of LLMService {placed[0].service}, whose variants stay estimated; correct one of them",
        )
    return tuple(use.service for use in roomy)


def _shapes(snapshot: Snapshot, wall: Firewall) -> dict[str, ModelShape]:
    """The shapes of models that services run, by name in lower case: some services give their own config.json."""
    shapes: dict[str, ModelShape] = {}
    for service in sorted(snapshot.services, key=ServiceKey.of):
        shape = wall.guard(ObjectKey.of("LLMService", service.metadata), partial(find_shape, service))
        if isinstance(shape, ModelShape):
            shapes.setdefault(shape.name.casefold(), shape)
    return shapes


def _uses_of(snapshot: Snapshot, wall: Firewall) -> tuple[Use, ...]:
    """In the order of the services' names; services whose model, RuntimeProfile or KV cache format is not known use
    nothing."""
    profiles = {profile.metadata.name: profile for profile in snapshot.profiles}
    uses: list[Use] = []
    for service in sorted(snapshot.services, key=ServiceKey.of):
        profile = profiles.get(service.spec.runtime.profile_ref)
        if profile is None or service.metadata.deletion_timestamp is not None:
            continue
        about = ObjectKey.of("LLMService", service.metadata)
        use = wall.guard(about, partial(_use_of, service, profile, snapshot))
        if isinstance(use, Use):
            uses.append(use)
    return tuple(uses)


def _use_of(service: LLMService, profile: RuntimeProfile, snapshot: Snapshot) -> Use | None:
    shape = find_shape(service)
    kv_format = kv_format_of(profile.spec.engine, user_flags(service, profile))
    if isinstance(shape, Refusal) or kv_format is None:
        return None
    return Use(
        service=ServiceKey.of(service).problem_name,
        model=shape.name,
        engine=(profile.spec.engine, profile.spec.version),
        precisions=precisions_of(service, shape),
        kv_format=kv_format,
        gpus_per_node=_gpus_per_node(service, snapshot),
        max_model_len=service.spec.model.max_model_len,
    )


def _gpus_per_node(service: LLMService, snapshot: Snapshot) -> Mapping[str, int]:
    named = {variant.pool_ref for variant in service.spec.variants}
    most: dict[str, int] = {}
    for pool in snapshot.pools:
        gpu = find_gpu(pool.spec.gpu, snapshot.catalogue)
        if gpu is not None and (not named or pool.metadata.name in named):
            most[gpu.name] = max(most.get(gpu.name, 0), pool.spec.capacity.gpus_per_node)
    return most


def model_profile_status(judged: Judgement, *, refused: Collection[str], now: str) -> StatusWrite | None:
    """The status of a profile, or None where it reads so already. `refused`: LLMServices that cannot be planned."""
    profile = judged.profile
    generation = profile.metadata.generation
    conditions = merge(
        profile.status.conditions,
        {ACCEPTED: judged.accepted, IN_USE: _seen_in_use(judged, refused)},
        generation=generation,
        now=now,
    )
    status = ModelProfileStatus(observed_generation=generation, conditions=conditions)
    known = judged.known
    if isinstance(known, Known):
        factors = known.speed.factors
        status = status.model_copy(
            update={
                "fixed": _decimal(factors.fixed),
                "compute": _decimal(factors.compute),
                "sequence": _decimal(factors.sequence),
                "kv": _decimal(factors.kv),
                "error_percent": f"{100.0 * known.error:.1f}",
                "derate": _decimal(known.speed.derate),
                "points_used": known.points_used,
                "points_refused": known.points_refused,
            }
        )
    if status == profile.status:
        return None
    key = ObjectKey(kind="ModelProfile", namespace="", name=profile.metadata.name)
    written = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return StatusWrite(key=key, uid=profile.metadata.uid, status=written)


def _seen_in_use(judged: Judgement, refused: Collection[str]) -> Draft:
    """InUse after planning: no plan rests on a profile whose every user is refused."""
    if not judged.users or not refused:
        return judged.in_use
    left = [name for name in judged.users if name not in refused]
    if left:
        return _in_use(left)
    named = ", ".join(judged.users[:3])
    return Draft(
        ConditionStatus.FALSE, "Unused", f"LLMService {named} could use it, but is not planned; see its PlanReady"
    )


def _in_use(users: Sequence[str]) -> Draft:
    more = f" and {len(users) - 3} more" if len(users) > 3 else ""
    return Draft(ConditionStatus.TRUE, "InUse", f"used by plans of LLMService {', '.join(users[:3])}{more}")


def _decimal(value: float) -> str:
    return f"{value:.3f}"
