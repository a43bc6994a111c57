"""Windows find their engine, and noise makes no new plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from medley_operator.domain.engine.deployment import DeploymentInput, render_deployment
from medley_operator.domain.engine.pods import EngineFigures, EnginePods, PodGroup, engine_pods
from medley_operator.domain.speed.calibration import KnownEngines, Turn, fold, told_speeds
from medley_operator.domain.values.labels import key_of
from medley_operator.domain.values.snapshot import Manifest, Snapshot
from medley_planner.capacity import ESTIMATE, StepFactors
from medley_planner.capacity.calibrate import CalibrationState
from medley_planner.capacity.window import SkipReason, Window
from medley_planner.layout import KvFormat
from medley_planner.model import Provenance
from tests.unit.operator import factories
from tests.unit.operator.rounds import play as rounds

VARIANT = ("demo", "llama", "l4")
GROUP = PodGroup(*VARIANT, template="5d4f")
TWICE = StepFactors(2.0, 2.0, 2.0, 2.0)


def deployment(
    flags: tuple[tuple[str, str], ...] = (), status: dict[str, int] | None = None, arguments: Sequence[str] = ()
) -> Manifest:
    service = factories.service("llama")
    manifest = render_deployment(
        DeploymentInput(
            service=service,
            profile=factories.profile(args=list(arguments)),
            pool=factories.pool("l4", gpu="L4"),
            variant="l4",
            layout="abcdefgh",
            gpus_per_replica=1,
            engine_flags=flags,
            replicas=2,
            surge=True,
        )
    )
    manifest["metadata"]["generation"] = 3
    manifest["status"] = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2} | (status or {})
    return manifest


def snapshot_of(manifest: Manifest) -> Snapshot:
    service = factories.service("llama")
    seen = factories.snapshot(service, pools=(factories.pool("l4", gpu="L4"),), profiles=(factories.profile(),))
    return replace(seen, children={key_of(manifest): manifest})


def pods_of(manifest: Manifest) -> EnginePods:
    return engine_pods(snapshot_of(manifest))[VARIANT]


RUN = pods_of(deployment())


def window(decoding: float, *, truth: StepFactors = TWICE, noise: float = 1.0, run: EnginePods = RUN) -> Window:
    """Steps without prefill at that batch, on an engine of that speed."""
    seconds = run.prior(truth).seconds(
        prefill_tokens=0, prefill_attended=0, decode_sequences=decoding, kv_tokens=800 * decoding
    )
    return Window(
        steps=60 / seconds,
        prefill_tokens=0,
        prompts=0,
        decode_tokens=60 / seconds * decoding,
        inter_token_seconds=seconds * noise,
        running=decoding,
        kv_tokens=800 * decoding,
        seconds=60,
    )


def taught(count: int, *, start: KnownEngines | None = None, noise: float = 0.02, seed: int = 1) -> KnownEngines:
    draw = Random(seed)  # noqa: S311
    engines: KnownEngines = start or {}
    for _ in range(count):
        told = EngineFigures(window(draw.uniform(1, 24), noise=draw.gauss(1, noise)), kv_tokens=40_000)
        engines = fold(engines, {GROUP: told}, {VARIANT: RUN}).engines
    return engines


def test_engines_with_different_cache_formats_are_not_pooled() -> None:
    half = pods_of(deployment(arguments=["--kv-cache-dtype=fp8"]))
    assert half.key == replace(RUN.key, layout=replace(RUN.key.layout, kv_format=KvFormat.FP8))
    assert pods_of(deployment(arguments=["--kv-cache-dtype=auto"])).key == RUN.key
    other = PodGroup("demo", "other", "l4", template="5d4f")
    engines: KnownEngines = {}
    for decoding in (4, 8, 16):
        half_window = window(decoding, truth=StepFactors(), run=half)
        figures = {GROUP: EngineFigures(window(decoding)), other: EngineFigures(half_window)}
        engines = fold(engines, figures, {VARIANT: RUN, ("demo", "other", "l4"): half}).engines
    assert {key: known.calibration.windows for key, known in engines.items()} == {RUN.key: 3, half.key: 3}
    assert engines[RUN.key].calibration.factors.fixed > 1.5 > engines[half.key].calibration.factors.fixed


def test_the_engines_own_cache_is_told_before_anything_is_learned() -> None:
    told = EngineFigures(SkipReason.YOUNG_POD, kv_tokens=40_000)
    folded = fold({}, {GROUP: told}, {VARIANT: RUN})
    assert told_speeds(folded.engines) == {RUN.key: replace(ESTIMATE, kv_tokens=40_000)}
    assert [skip.reason for skip in folded.skips] == [SkipReason.YOUNG_POD]


def test_a_calibrated_engine_is_told_a_little_slower_than_learned() -> None:
    (speed,) = told_speeds(taught(40)).values()
    assert speed.provenance is Provenance.CALIBRATED
    assert 1.9 < speed.factors.fixed < 2.4
    assert speed.kv_tokens == 40_000


def test_noise_tells_planning_nothing_new() -> None:
    engines = taught(60)
    told = told_speeds(engines)
    changes = 0
    for seed in range(40):
        engines = taught(1, start=engines, seed=seed + 100)
        changes += told != told_speeds(engines)
        told = told_speeds(engines)
    assert changes <= 2


def test_windows_of_two_ReplicaSets_are_not_told_apart() -> None:  # noqa: N802 - Kubernetes's name
    both = {GROUP: EngineFigures(window(4)), replace(GROUP, template="77"): EngineFigures(window(4))}
    folded = fold({}, both, {VARIANT: RUN})
    assert ([skip.reason for skip in folded.skips], folded.learned) == ([SkipReason.ROLLING_OUT], 0)
    young = both | {replace(GROUP, template="77"): EngineFigures(SkipReason.YOUNG_POD)}
    assert fold({}, young, {VARIANT: RUN}).learned == 1
    assert fold({}, {GROUP: both[GROUP]}, {VARIANT: replace(RUN, settled=False)}).learned == 0


def test_pods_of_no_known_variant_are_left_out() -> None:
    folded = fold({}, {replace(GROUP, service="gone"): EngineFigures(window(4))}, {VARIANT: RUN})
    assert (folded.engines, folded.skips) == ({}, ())


def test_turns_tell_when_plans_change_their_ground() -> None:
    engines = taught(11)
    folded = fold(engines, {GROUP: EngineFigures(window(5))}, {VARIANT: RUN})
    assert [(turn.before, turn.after) for turn in folded.turns] == [
        (CalibrationState.LEARNING, CalibrationState.CALIBRATED)
    ]
    odd = EngineFigures(window(5, noise=3.0))
    turns: list[Turn] = []
    for _ in range(10):
        folded = fold(folded.engines, {GROUP: odd}, {VARIANT: RUN})
        turns += folded.turns
    assert [(turn.before, turn.after) for turn in turns] == [(CalibrationState.CALIBRATED, CalibrationState.RESTARTED)]
    (speed,) = told_speeds(folded.engines).values()
    assert speed.provenance is Provenance.ESTIMATED


def test_corrections_of_another_estimate_mean_nothing() -> None:
    engines = taught(40)
    other = {key: replace(known, estimate_seconds=0.5) for key, known in engines.items()}
    folded = fold(other, {GROUP: EngineFigures(SkipReason.FEW_STEPS)}, {VARIANT: RUN})
    assert [turn.after for turn in folded.turns] == [CalibrationState.RESTARTED]
    assert told_speeds(folded.engines)[RUN.key].factors == StepFactors()


def test_the_whole_way_from_rendered_pods_to_plan_and_status() -> None:
    """What a round applies is recognised in the next look, and what was learned of it changes the plan and is
    reported."""
    load = {"static": {"requestsPerSecond": "40", "promptTokens": 500, "generationTokens": 150}, "source": "Static"}
    service = factories.service("llama", spec={"workload": load})
    pools = (factories.pool("l4", gpu="L4", nodes=40),)
    first = rounds.run(factories.snapshot(service, pools=pools))
    rows = first.status()["variants"]
    assert {row["provenance"] for row in rows} == {"estimated"}
    seen = factories.carried_out(first.snapshot, first.decision)
    pods = engine_pods(seen)
    assert {key[2] for key in pods} == {row["name"] for row in rows if row["desired"] > 0}
    assert all(run.settled for run in pods.values())
    engines: KnownEngines = {}
    draw = Random(4)  # noqa: S311
    for _ in range(40):
        figures = {
            PodGroup(*key, template="1"): EngineFigures(window(draw.uniform(1, 30), run=run))
            for key, run in pods.items()
        }
        engines = fold(engines, figures, pods).engines
    second = rounds.run(replace(seen, calibrated=told_speeds(engines)), first.memory)
    after = {row["name"]: row for row in second.status()["variants"]}
    for row in rows:
        if row["desired"] > 0 and row["name"] in after:
            assert after[row["name"]]["provenance"] == "calibrated"
            assert float(after[row["name"]]["capacityRps"]) < float(row["capacityRps"]), "twice as slow"
    assert float(second.status()["costPerHour"]) > float(first.status()["costPerHour"])
    lost = rounds.follow(replace(second, snapshot=replace(second.snapshot, calibrated={})))
    (event,) = [event for event in lost.decision.events if event.reason == "CapacityEstimated"]
    assert "(was calibrated)" in event.message
