"""What each `ModelProfile` is good for: plans rest on it, or why not. Pure.

A profile that makes no sense is told so in its own status, and everything else is planned as if it were not there: the
estimate of the data sheet stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medley_operator.api.v1alpha1 import ModelProfile
from medley_operator.domain.speed.profile_reading import read_profile
from medley_operator.domain.speed.profile_use import Use, uses_of
from medley_operator.domain.values.catalogue import find_shape
from medley_operator.domain.values.conditions import ConditionStatus, Draft
from medley_operator.domain.values.profile_judgement import Judgement, Known
from medley_operator.domain.values.refusal import Refusal
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Snapshot
from medley_planner.capacity import DERATES, Derates, EngineKey
from medley_planner.shapes import ModelShape

ACCEPTED, IN_USE = "Accepted", "InUse"
"""The conditions of a ModelProfile."""
NOT_ACCEPTED = Draft(ConditionStatus.FALSE, "NotAccepted", "estimates of the data sheet are used instead")
"""InUse of a profile that is not accepted."""


def judge_profiles(snapshot: Snapshot, derates: Derates = DERATES) -> tuple[Judgement, ...]:
    """One judgement for each profile, in the order of their names. Of several of one engine the newest counts."""
    if not snapshot.model_profiles:
        return ()
    shapes = _shapes(snapshot)
    found = [
        (profile, read_profile(profile.spec, shapes, derates))
        for profile in sorted(snapshot.model_profiles, key=lambda profile: profile.metadata.name)
    ]
    newest: dict[EngineKey, ModelProfile] = {}
    for profile, known in found:
        if isinstance(known, Known):
            other = newest.get(known.key)
            # Equal times: the first by name.
            if other is None or (profile.spec.measured_at or "") > (other.spec.measured_at or ""):
                newest[known.key] = profile
    uses = uses_of(snapshot)
    return tuple(_judgement(profile, known, newest, uses) for profile, known in found)


def _judgement(
    profile: ModelProfile, known: Known | Refusal, newest: Mapping[EngineKey, ModelProfile], uses: Sequence[Use]
) -> Judgement:
    true, false = ConditionStatus.TRUE, ConditionStatus.FALSE
    if isinstance(known, Refusal):
        return Judgement(
            profile=profile,
            known=known,
            counts=False,
            accepted=Draft(false, known.reason, known.message),
            in_use=NOT_ACCEPTED,
        )
    accepted = Draft(true, "Accepted", known.note)
    winner = newest.get(known.key, profile)
    if winner.metadata.name != profile.metadata.name:
        told = winner.spec.measured_at or "no time"
        message = (
            f'ModelProfile "{winner.metadata.name}" is of the same engine and newer (spec.measuredAt {told} against '
            f"{profile.spec.measured_at or 'none'}); delete one of them"
        )
        in_use = Draft(false, "Superseded", message)
        return Judgement(profile=profile, known=known, counts=False, accepted=accepted, in_use=in_use)
    reason, message = _use(known, uses)
    return Judgement(
        profile=profile,
        known=known,
        counts=True,
        accepted=accepted,
        in_use=Draft(true if reason == "InUse" else false, reason, message),
    )


def _use(known: Known, uses: Sequence[Use]) -> tuple[str, str]:
    """Reason and message of the condition InUse."""
    key, layout = known.key, known.key.layout
    model = [use for use in uses if use.model == key.model]
    if not model:
        return "Unused", f'no LLMService serves model "{key.model}"'
    version = [use for use in model if use.engine_version == layout.engine_version]
    if not version:
        run = ", ".join(sorted({use.engine_version for use in model}))
        return (
            "OtherEngineVersion",
            f"measured with {layout.engine} {layout.engine_version}, but the LLMServices that serve {key.model} run "
            f"{run}: their variants stay estimated; measure that version",
        )
    ways = [use for use in version if layout.precision in use.precisions]
    if not ways:
        return "Unused", f"no LLMService of {key.model} may run it in {layout.precision}"
    ways = [use for use in ways if layout.kv_format is use.kv_format]
    if not ways:
        return "Unused", f"no LLMService of {key.model} runs it with a KV cache in {layout.kv_format}"
    placed = [use for use in ways if use.gpus_per_node.get(layout.gpu.name, 0) >= layout.gpus]
    if not placed:
        return "Unused", f"no GPUPool has {layout.hardware} on a node"
    kv_tokens = known.speed.kv_tokens
    roomy = [use for use in placed if kv_tokens is None or use.max_model_len <= kv_tokens]
    if not roomy:
        return (
            "TooFewKvTokens",
            f"spec.kvTokens {kv_tokens} is less than one sequence of spec.model.maxModelLen {placed[0].max_model_len} "
            f"of LLMService {placed[0].service}, whose variants stay estimated; correct one of them",
        )
    names = [use.service for use in roomy]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return "InUse", f"plans of LLMService {', '.join(names[:3])}{more} rest on it"


def _shapes(snapshot: Snapshot) -> dict[str, ModelShape]:
    """The shapes of models that services run, by name in lower case: some give a config.json of their own."""
    shapes: dict[str, ModelShape] = {}
    for service in sorted(snapshot.services, key=ServiceKey.of):
        shape = find_shape(service)
        if isinstance(shape, ModelShape):
            shapes.setdefault(shape.name.casefold(), shape)
    return shapes
