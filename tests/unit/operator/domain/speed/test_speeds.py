"""Whose counters are believed by whom: a tenant's are its own, and others need two that agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest

from medley_operator.domain.engine.pods import EngineFigures, EnginePods, PodGroup, engine_pods
from medley_operator.domain.speed.calibration import KnownEngines, fold, told_speeds
from medley_operator.domain.speed.speeds import agreed, known_speeds
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.capacity import Speed, StepFactors
from medley_planner.capacity.calibrate import CalibrationState
from medley_planner.model import Provenance
from tests.unit.operator import factories as make
from tests.unit.operator.domain.speed.test_calibration import RUN, TWICE, deployment, pods_of, snapshot_of, window

LIE = StepFactors(0.3, 0.3, 0.3, 0.3)
TRUTH = TWICE


def run_in(namespace: str) -> EnginePods:
    return replace(RUN, namespace=namespace)


def taught(truths: Mapping[str, StepFactors], count: int, start: KnownEngines | None = None) -> KnownEngines:
    """Windows of one variant in each namespace, on engines of these speeds or such as say so."""
    draw = Random(1)  # noqa: S311
    engines: KnownEngines = start or {}
    pods = {(namespace, "llama", "l4"): run_in(namespace) for namespace in truths}
    for _ in range(count):
        figures = {
            PodGroup(namespace, "llama", "l4", template="1"): EngineFigures(
                window(draw.uniform(1, 24), truth=truth), kv_tokens=40_000
            )
            for namespace, truth in truths.items()
        }
        engines = fold(engines, figures, pods).engines
    return engines


def believed(engines: KnownEngines, namespace: str, arguments: str = "") -> Speed | None:
    snapshot = replace(make.snapshot(), calibrated=told_speeds(engines))
    return known_speeds(snapshot).of(namespace, arguments).get(RUN.key.engine)


def test_calibration_poison_made_up_counters_of_one_namespace_are_believed_by_itself_alone() -> None:
    """They came first, and the windows of an honest engine were outliers for an hour."""
    engines = taught({"liar": LIE}, 30)
    liar = believed(engines, "liar")
    assert liar is not None
    assert liar.factors.fixed < 0.5
    assert believed(engines, "honest") is None
    engines = taught({"liar": LIE, "honest": TRUTH}, 12, start=engines)
    honest = believed(engines, "honest")
    assert honest is not None
    assert honest.provenance is Provenance.CALIBRATED
    assert honest.factors.fixed > 1.8


def test_two_namespaces_that_agree_are_believed_by_a_third_and_one_liar_among_them_moves_nothing() -> None:
    engines = taught({"a": TRUTH, "b": TRUTH, "liar": LIE}, 30)
    third = believed(engines, "c")
    assert third is not None
    assert third.provenance is Provenance.CALIBRATED
    assert third.factors.fixed > 1.8
    assert believed(taught({"a": TRUTH, "liar": LIE}, 30), "c") is None


@pytest.mark.parametrize(
    ("factors", "expected"),
    [((), None), ((1.0,), None), ((1.0, 1.2), 1.2), ((1.0, 2.0), None), ((0.3, 1.0, 1.1), 1.0), ((1.0, 1.1, 9.0), 1.1)],
)
def test_what_is_agreed_is_the_median_of_those_that_are_near(
    factors: tuple[float, ...], expected: float | None
) -> None:
    found = agreed([Speed(StepFactors(*[factor] * 4), Provenance.CALIBRATED) for factor in factors])
    assert (found.factors.fixed if found is not None else None) == expected


def test_what_all_namespaces_taught_before_counts_until_one_knows_better() -> None:
    everybody = replace(RUN.key, namespace="")
    before = {everybody: taught({"demo": TRUTH}, 30)[RUN.key]}
    old = believed(before, "demo")
    assert old is not None
    assert old.provenance is Provenance.CALIBRATED
    some = taught({"demo": LIE}, 3, start=before)
    assert believed(some, "demo") == replace(old, kv_tokens=40_000)
    after = taught({"demo": LIE}, 12, start=some)
    assert set(after) == {RUN.key}
    assert after[RUN.key].calibration.standing is CalibrationState.CALIBRATED


@pytest.mark.parametrize("argument", ["--enforce-eager", "--speculative-config={}", "--no-enable-prefix-caching"])
def test_arguments_that_change_the_speed_are_another_engine(argument: str) -> None:
    other = pods_of(deployment(arguments=[argument]))
    assert other.key != RUN.key
    assert other.key.engine == RUN.key.engine
    engines = {other.key: taught({"demo": TRUTH}, 30)[RUN.key]}
    assert believed(engines, "demo") is None
    assert believed(engines, "demo", other.arguments) is not None


def test_what_medley_sets_itself_is_no_argument_that_tells_engines_apart() -> None:
    assert RUN.key.arguments == ""
    assert pods_of(deployment(flags=(("--tensor-parallel-size", "2"),))).key.arguments == ""


@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": [], "name": "mine"},
        {"ownerReferences": [{"kind": "Job", "name": "llama", "uid": "uid-of-another", "controller": True}]},
        {"namespace": "other"},
    ],
    ids=["of nobody", "of another", "elsewhere"],
)
def test_a_deployment_that_is_not_the_services_teaches_nothing(metadata: Manifest) -> None:
    """Labels are anybody's to write, and so is the uid of an LLMService of another namespace."""
    manifest = deployment()
    assert engine_pods(snapshot_of(manifest))
    manifest["metadata"] |= metadata
    assert engine_pods(snapshot_of(manifest)) == {}


def test_keys_have_a_stable_order() -> None:
    keys = [replace(RUN.key, namespace=name, arguments=text) for text in ("", "b") for name in ("x", "a")]
    ordered = [(key.arguments, key.namespace) for key in sorted(keys)]
    assert ordered == [("", "a"), ("", "x"), ("b", "a"), ("b", "x")]
    assert LearnedKey(RUN.key.model, RUN.key.layout).engine < replace(RUN.key, model="zzz")
