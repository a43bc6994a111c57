"""The known speed of each engine from its counters, folded window by window, and the factors that planning uses.

Pure. Each namespace teaches a calibration of its own: what a tenant's counters say is a fact of that tenant's engines,
and whether others believe it is decided in `speeds`. The filter itself is the planner's; here its windows are sorted by
engine, and the factors that planning uses change only where they moved enough to matter, so that noise makes no new
plans.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from medley_operator.domain.engine.pods import EngineFigures, EnginePods, PodGroup, VariantKey
from medley_operator.domain.firewall import Firewall, guarded
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.snapshot import ObjectFault, ObjectKey
from medley_planner.capacity import Speed
from medley_planner.capacity.calibrate import Calibration, CalibrationState, calibrated_speed, learn, step_change
from medley_planner.capacity.speed import UNCORRECTED
from medley_planner.capacity.window import SkipReason, Window
from medley_planner.model import Provenance

TOLD_CHANGE = 0.05
"""Planning gets new factors where steps became longer or shorter by more than this share since it last got them."""
TOLD_CACHE_CHANGE = 0.01
"""The same for the tokens that a cache holds, which differ a little from node to node."""
SAME_ESTIMATE = 0.005
_CALIBRATION = ObjectKey(kind="Calibration", namespace="", name="")


@dataclass(frozen=True, slots=True)
class KnownEngine:
    """The calibration of one engine. `told` are the factors that planning got last; None before the first time.

    `estimate_seconds` is a step of the estimate that the calibration corrects: corrections of another one mean nothing.
    """

    calibration: Calibration = field(default_factory=Calibration)
    kv_tokens: int | None = None
    told: Speed | None = None
    estimate_seconds: float | None = None


KnownEngines = Mapping[LearnedKey, KnownEngine]


@dataclass(frozen=True, slots=True)
class Skip:
    """A window that was not used. `engine` is None where it is not known which engine it was of."""

    reason: SkipReason
    engine: LearnedKey | None


@dataclass(frozen=True, slots=True)
class Turn:
    """An engine whose calibration came to be worth another thing than before."""

    engine: LearnedKey
    before: CalibrationState
    after: CalibrationState
    error: float


@dataclass(frozen=True, slots=True)
class Folded:
    """All engines after a window, `learned` ReplicaSets of which were used."""

    engines: KnownEngines
    learned: int
    skips: tuple[Skip, ...]
    turns: tuple[Turn, ...]


def fold(
    engines: KnownEngines,
    figures: Mapping[PodGroup, EngineFigures],
    pods: Mapping[VariantKey, EnginePods],
) -> Folded:
    """The engines after one window of all ReplicaSets. Variants of one engine teach it one after the other."""
    after = dict(engines)
    learned_from = 0
    skips: list[Skip] = []
    caches: dict[LearnedKey, list[int]] = defaultdict(list)
    priors: dict[LearnedKey, EnginePods] = {}
    for variant, groups in sorted(_by_variant(figures).items()):
        run = pods.get(variant)
        if run is None:
            continue
        priors[run.key] = run
        if run.key in after:
            after[run.key] = _of_this_estimate(after[run.key], run)
        if len(groups) > 1 or not run.settled:
            skips += [Skip(SkipReason.ROLLING_OUT, run.key)]
            continue
        (told,) = groups
        if told.kv_tokens is not None:
            caches[run.key].append(told.kv_tokens)
        if isinstance(told.window, SkipReason):
            skips.append(Skip(told.window, run.key))
            continue
        known = after.get(run.key) or _of_this_estimate(KnownEngine(), run)
        learned = learn(known.calibration, _with_run(told.window, run), run.prior)
        if learned.skipped is not None:
            skips.append(Skip(learned.skipped, run.key))
        learned_from += learned.skipped is None
        after[run.key] = replace(known, calibration=learned.calibration)
    for key, tokens in caches.items():
        after[key] = replace(after.get(key, KnownEngine()), kv_tokens=min(tokens))
    for key, run in priors.items():
        if key in after:
            after[key] = replace(after[key], told=_told(after[key], run))
    for key in [key for key in after if not key.namespace]:
        if _outdated(after, key, priors):
            del after[key]
    turns = tuple(
        Turn(key, before, known.calibration.standing, known.calibration.error)
        for key, known in sorted(after.items())
        if (before := engines.get(key, KnownEngine()).calibration.standing) is not known.calibration.standing
    )
    return Folded(engines=after, learned=learned_from, skips=tuple(skips), turns=turns)


def fold_sound(
    engines: KnownEngines, figures: Mapping[PodGroup, EngineFigures], pods: Mapping[VariantKey, EnginePods]
) -> tuple[Folded, tuple[ObjectFault, ...]]:
    """As `fold`, without the variants whose figures it raises on, and what it raised."""
    whole = guarded(_CALIBRATION, partial(fold, engines, figures, pods))
    if not isinstance(whole, ObjectFault):
        return whole, ()
    wall = Firewall()
    for (namespace, service, variant), run in pods.items():
        about = ObjectKey("LLMService", namespace, service)
        wall.guard(about, partial(fold, engines, figures, {(namespace, service, variant): run}))
    faulty = {(fault.about.namespace, fault.about.name) for fault in wall.faults}
    return fold(engines, figures, {key: run for key, run in pods.items() if key[:2] not in faulty}), wall.faults


def told_speeds(engines: KnownEngines) -> dict[LearnedKey, Speed]:
    """The factors that planning uses."""
    return {key: known.told for key, known in engines.items() if known.told is not None}


def _outdated(engines: KnownEngines, key: LearnedKey, priors: Mapping[LearnedKey, EnginePods]) -> bool:
    """Whether what was learned of all namespaces together is of another estimate, or a namespace knows better now."""
    same = {other: run for other, run in priors.items() if other.engine == key.engine}
    known = engines[key]
    return any(
        _of_this_estimate(known, run) is not known
        or (other in engines and engines[other].calibration.standing is CalibrationState.CALIBRATED)
        for other, run in same.items()
    )


def _by_variant(figures: Mapping[PodGroup, EngineFigures]) -> dict[VariantKey, list[EngineFigures]]:
    """Those of a variant's ReplicaSets whose pods count; where there is none, one of the others."""
    groups: dict[VariantKey, list[EngineFigures]] = defaultdict(list)
    for group in sorted(figures):
        groups[group.namespace, group.service, group.variant].append(figures[group])
    return {
        variant: [told for told in found if told.window is not SkipReason.YOUNG_POD] or found[:1]
        for variant, found in groups.items()
    }


def _of_this_estimate(known: KnownEngine, run: EnginePods) -> KnownEngine:
    """The known calibration, or none where the estimate differs from the one that was corrected."""
    step = run.prior(UNCORRECTED)
    seconds = step.seconds(prefill_tokens=512, prefill_attended=131_072, decode_sequences=16, kv_tokens=16_384)
    if known.estimate_seconds is None:
        return replace(known, estimate_seconds=seconds)
    if abs(known.estimate_seconds - seconds) <= SAME_ESTIMATE * seconds:
        return known
    return KnownEngine(
        calibration=Calibration(standing=CalibrationState.RESTARTED),
        kv_tokens=known.kv_tokens,
        estimate_seconds=seconds,
    )


def _with_run(window: Window, run: EnginePods) -> Window:
    budget = run.run_as.token_budget
    window = replace(window, prompt_spread=run.prompt_spread)
    return window if budget is None else replace(window, token_budget=budget)


def _told(known: KnownEngine, run: EnginePods) -> Speed:
    fresh = calibrated_speed(known.calibration, run.prior, kv_tokens=known.kv_tokens)
    before = known.told
    if before is None or before.provenance is not fresh.provenance or not _same_cache(before, fresh):
        return fresh
    if fresh.provenance is not Provenance.CALIBRATED:
        return before
    moved = step_change(before.factors, fresh.factors, known.calibration, run.prior)
    return fresh if moved > TOLD_CHANGE else before


def _same_cache(before: Speed, fresh: Speed) -> bool:
    if before.kv_tokens is None or fresh.kv_tokens is None:
        return before.kv_tokens is fresh.kv_tokens
    return abs(fresh.kv_tokens - before.kv_tokens) <= TOLD_CACHE_CHANGE * before.kv_tokens
