"""Whatever one object says, a round of the pure core ends, and the services beside it are planned as without it.

Two services: a clean one, and one of another model that all the nonsense is about: measured profiles, observations,
speeds from counters, simulated capacities, pods, histories, and its own status of before a restart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medley_operator.api.v1alpha1 import ModelProfile
from medley_operator.domain.load.plausible import plausible
from medley_operator.domain.prepare import prepare
from medley_operator.domain.values import labels
from medley_operator.domain.values.candidates import Disposition
from medley_operator.domain.values.decision import Decision
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.profile_judgement import Known
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation, Snapshot
from medley_operator.fleet.planning import plan_and_verify
from medley_operator.fleet.project import pod_view
from medley_planner.capacity import GridRatios, Speed, StepFactors, TableGroup
from medley_planner.capacity.simulated import closed_form_of
from medley_planner.catalog import gpu
from medley_planner.fleet_plan import FleetPlan
from medley_planner.layout import KvFormat, Layout
from medley_planner.model import Bucket, Demand, Provenance, SizeSource
from medley_planner.shapes import Precision
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, concluded

few = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
"""Enough to meet every kind of nonsense, since most values are drawn from lists of it."""

SMALL = "meta-llama/Llama-3.2-1B-Instruct"
DIRTY_SPEC: dict[str, Any] = {"model": {"uri": f"hf://{SMALL}", "maxModelLen": 8192}}
LIVE: dict[str, Any] = {**DIRTY_SPEC, "workload": {"source": "Prometheus"}}
CLEAN = make.service("clean")
ODD = (math.nan, math.inf, -math.inf, -1.0, -0.0, 0.0, 5e-324, 1e-12, 1e9, 1e15, 1.7e308)
numbers = st.sampled_from(ODD) | st.floats()
texts = st.sampled_from(("", "nan", "inf", "-1", "1e999", "-1e308", "zero", "0", "1e12", "4.2"))
counts = st.sampled_from((0, 1, -1, 10**4, 2**62))


def rounds(snapshot: Snapshot, memory: FleetMemory | None = None, *, same_as: Snapshot | None = None) -> list[Round]:
    """Two rounds, the second after the first was carried out. The clean service is planned as it is in `same_as`, by
    default the same without the dirty one."""
    memory = memory if memory is not None else FleetMemory()
    clean_alone = tuple(each for each in snapshot.services if each.metadata.name == CLEAN.metadata.name)
    alone = same_as if same_as is not None else replace(snapshot, services=clean_alone)
    expected = prepare(alone, memory).problem
    assert expected is not None
    done: list[Round] = []
    for index in range(2):
        prepared = prepare(snapshot, memory)
        # Nonsense is refused by a rule that knows it: the firewall is for what nobody thought of.
        assert prepared.faults == ()
        clean = prepared.candidate(ServiceKey(make.NAMESPACE, "clean"))
        assert clean is not None
        assert clean.disposition is Disposition.PLANNED
        assert prepared.problem is not None
        if index == 0:
            (entry,) = [each for each in prepared.problem.services if each.name == "demo/clean"]
            assert entry == expected.services[0]
        outcome = plan_and_verify(prepared.problem, 10.0, {})
        assert isinstance(outcome, FleetPlan), outcome
        assert "demo/clean" not in outcome.refused
        done.append(concluded(snapshot, prepared, outcome, memory))
        assert done[-1].faults == ()
        snapshot, memory = make.carried_out(snapshot, done[-1].decision), done[-1].memory
    return done


def check_gauges(decision: Decision) -> None:
    for sample in decision.gauges:
        assert sample.value is None or (math.isfinite(sample.value) and sample.value >= 0), sample


def condition(decision: Decision, type_: str, name: str = "dirty") -> Mapping[str, Any]:
    (write,) = [each for each in decision.statuses if each.key.name == name]
    (found,) = [each for each in write.status["conditions"] if each["type"] == type_]
    return dict(found)


# Observations.

demands = st.builds(
    lambda rate, cells, hits: Demand(
        rate, tuple(Bucket(p, g) for p, g, _ in cells), tuple(s for _, _, s in cells), SizeSource.TILTED, hits
    ),
    numbers | st.just(4.0),
    st.lists(
        st.tuples(numbers | st.just(500.0), numbers | st.just(150.0), numbers | st.just(1.0)), min_size=0, max_size=3
    ),
    numbers | st.just(0.0),
)
observations = st.builds(
    Observation, reason=st.sampled_from(MetricsReason), demand=st.none() | demands, samples=numbers, message=st.just("")
)


@given(observations, st.booleans(), st.lists(st.tuples(numbers, numbers), max_size=4))
@few
def test_observations_and_histories(seen: Observation, before: bool, history: list[tuple[float, float]]) -> None:
    snapshot = make.snapshot(
        CLEAN, make.service("dirty", spec=LIVE), observations={"dirty": make.found() if before else seen}
    )
    snapshot = replace(snapshot, histories={ServiceKey(make.NAMESPACE, "dirty"): tuple(history)}, at_seconds=1000.0)
    first, second = rounds(snapshot)
    if before:
        later = replace(
            make.carried_out(snapshot, first.decision), observations={ServiceKey(make.NAMESPACE, "dirty"): seen}
        )
        first, second = rounds(replace(later, at_seconds=2000.0), first.memory)
    told = condition(first.decision, "MetricsAvailable")
    if seen.reason is not MetricsReason.FOUND:
        assert (told["status"], told["reason"]) == (str(seen.reason is MetricsReason.STATIC), seen.reason)
    elif plausible(seen) != seen:
        assert (told["status"], told["reason"]) == ("False", "MetricsInvalid")
    else:
        assert told["status"] == "True"
    for decision in (first.decision, second.decision):
        check_gauges(decision)


# The status of before a restart.

variant_statuses = st.builds(
    lambda name, count, text, basis: {
        "name": name,
        "pool": "h100" if "h" in name else "gone",
        "gpu": "H100",
        "tensorParallel": count,
        "desired": count,
        "ready": count,
        "weight": count,
        "costPerHour": text,
        "capacityRps": text,
        "provenance": text,
        "startupSeconds": count,
        "capacityBasis": basis,
    },
    st.sampled_from(("h100", "l4", "", "odd", "h100-tp2")),
    counts,
    texts,
    st.sampled_from(("Simulated", "ClosedForm", "")),
)
statuses = st.builds(
    lambda text, other, count, variants, source: {
        "observedGeneration": 1,
        "costPerHour": text,
        "desiredReplicas": count,
        "readyReplicas": count,
        "load": {
            "source": source,
            "requestsPerSecond": text,
            "measuredRequestsPerSecond": other,
            "forecastMarginPercent": count,
            "promptTokens": count,
            "generationTokens": count,
            "sizeHeadroomPercent": count,
        },
        "variants": variants,
        "plan": {
            "id": text,
            "state": other,
            "costPerHour": text,
            "lowerBoundPerHour": other,
            "gap": text,
            "bestSingle": {"variant": text, "replicas": count, "costPerHour": other},
            "savingsPercent": text,
            "costPerMillionTokens": other,
            "predictedAttainmentPercent": text,
            "capacityCorrections": [{"variant": "h100", "factor": text}, {"variant": "h100", "factor": other}],
            "limits": [{"kind": "", "name": "", "used": count, "limit": count, "savesPerHour": text}],
            "unserved": [
                {
                    "promptTokens": count,
                    "generationTokens": count,
                    "requestsPerSecond": other,
                    "reason": text,
                }
            ],
        },
    },
    texts,
    texts,
    counts,
    st.lists(variant_statuses, max_size=3, unique_by=lambda each: str(each["name"])),
    st.sampled_from(("Prometheus", "Static", "MinReplicas", "")),
)


@given(statuses, st.sampled_from((None, *MetricsReason)), st.booleans())
@few
def test_statuses_read_back_after_a_restart(
    status: dict[str, Any], seen: MetricsReason | None, simulates: bool
) -> None:
    spec = DIRTY_SPEC if seen is None else LIVE
    snapshot = make.snapshot(
        CLEAN,
        make.service("dirty", spec=spec, status=status),
        observations={} if seen is None else {"dirty": Observation(reason=seen, message="so it is")},
    )
    for decision in (each.decision for each in rounds(replace(snapshot, simulates=simulates))):
        check_gauges(decision)


# Speeds from counters.

factors = st.sampled_from((0.0, 5e-324, 1e-9, 0.05, 1.0, 20.0, 1e9, 1.7e308))
step_factors = st.builds(StepFactors, fixed=factors, compute=factors, sequence=factors, kv=factors)
speeds = st.builds(
    Speed,
    factors=step_factors,
    provenance=st.sampled_from(Provenance),
    derate=st.sampled_from((0.0, 1e-9, 0.75, 1.0)),
    kv_tokens=st.none() | st.sampled_from((0, 1, 15, 4096, 10**6, 10**15)),
)
keys = st.builds(
    LearnedKey,
    model=st.just(SMALL),
    layout=st.builds(
        Layout,
        gpu=st.sampled_from((gpu("H100"), gpu("L4"), replace(gpu("L4"), name="nonesuch"))),
        tensor_parallel=st.sampled_from((0, 1, 2, 8)),
        precision=st.sampled_from(Precision),
        kv_format=st.sampled_from(KvFormat),
        engine_version=st.sampled_from(("0.32.0", "0.1", "")),
    ),
    arguments=st.sampled_from(("", "1a2b3c4d")),
    namespace=st.sampled_from(("", make.NAMESPACE, "other", "third")),
)


@given(st.dictionaries(keys, speeds, min_size=1, max_size=6))
@few
def test_speeds_that_were_told(calibrated: dict[LearnedKey, Speed]) -> None:
    snapshot = make.snapshot(CLEAN, make.service("dirty", spec=DIRTY_SPEC))
    rounds(replace(snapshot, calibrated=calibrated))


# Simulated capacities.

ratios = st.sampled_from((0.0, 5e-324, 1e-9, 1.0, 1e9, 1.7e308))


@given(st.lists(ratios, min_size=3, max_size=7), st.lists(ratios, min_size=2, max_size=5))
@few
def test_simulated_capacities(simulated: list[float], closed: list[float]) -> None:
    snapshot = make.snapshot(CLEAN, make.service("dirty", spec=DIRTY_SPEC))
    tables: dict[TableGroup, tuple[GridRatios, ...]] = {}
    for key in prepare(snapshot, FleetMemory()).missing_tables:
        if key.group.shape.name == SMALL:
            size = len(closed_form_of(key))
            table = GridRatios(
                key,
                tuple(simulated[index % len(simulated)] for index in range(size)),
                tuple(closed[index % len(closed)] for index in range(size)),
            )
            tables[key.group] = (*tables.get(key.group, ()), table)
    assert tables
    rounds(replace(snapshot, capacity_tables=tables))


# Pods and what is known of starts.

times = st.sampled_from((None, "", "yesterday", "2026-11-24T12:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"))
pods = st.builds(
    lambda created, scheduled, ready, started, restarts, node: {
        "metadata": {
            "name": "dirty-1",
            "namespace": make.NAMESPACE,
            "uid": f"{created}{ready}{started}",
            "creationTimestamp": created,
            "labels": {
                **{labels.SERVICE: "dirty", labels.POOL: "h100", labels.VARIANT: "h100"},
                labels.MANAGED_BY: labels.MANAGED_BY_VALUE,
            },
        },
        "spec": {"nodeName": node, "containers": [{"name": "engine"}]},
        "status": {
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": scheduled},
                {"type": "Ready", "status": "True", "lastTransitionTime": ready},
            ],
            "containerStatuses": started and [{"restartCount": restarts, "state": {"running": {"startedAt": started}}}],
        },
    },
    times,
    times,
    times,
    times,
    st.sampled_from((0, 1, None)),
    st.sampled_from(("node-1", "gone", None)),
)


@given(st.lists(pods, max_size=6), st.sampled_from((0.0, -1e18, 1e18, math.nan)))
@few
def test_pods_with_broken_times(found: list[dict[str, Any]], created_at: float) -> None:
    node = replace(make.node("node-1", pool_name="h100", gpus=8), created_at=created_at)
    snapshot = make.snapshot(CLEAN, make.service("dirty", spec=LIVE), observations={"dirty": make.found()})
    views = tuple(view for each in found if (view := pod_view(each)) is not None)
    assert len(views) == len(found), "ours are seen, whatever they say"
    snapshot = replace(snapshot, nodes=(node,), pods=views)
    for decision in (each.decision for each in rounds(snapshot)):
        check_gauges(decision)


# Measured profiles.

factor_texts = st.sampled_from(("0", "0.000001", "0.05", "1", "20", "20.000001", "9999"))
token_texts = st.sampled_from(("0", "0.001", "1", "500", "9999999"))
seconds_texts = st.sampled_from(("0ms", "0.001ms", "20ms", "1s", "9999h", "20"))
points = st.builds(
    lambda prompt, generation, load, arrivals, ttft, tpot: {
        "promptTokens": prompt,
        "generationTokens": generation,
        **({"requestsPerSecond": load} if arrivals else {"concurrency": load}),
        **({"ttft": ttft} if ttft else {}),
        **({"tpot": tpot} if tpot else {}),
    },
    token_texts,
    token_texts,
    st.sampled_from(("0", "1", "32", "9999")),
    st.booleans(),
    st.none() | seconds_texts,
    st.none() | seconds_texts,
)
profile_specs = st.builds(
    lambda model, gpu, degree, version, fitted, kv, error, at: {
        "model": model,
        "gpu": gpu,
        "tensorParallel": degree,
        "engineVersion": version,
        **fitted,
        **({} if kv is None else {"kvTokens": kv}),
        **({} if error is None else {"errorPercent": error}),
        **({} if at is None else {"measuredAt": at}),
    },
    st.sampled_from((SMALL, SMALL.upper(), "nobody/nothing", make.LLAMA.removeprefix("hf://"))),
    st.sampled_from(("H100", "L4", "RTX-0", "h100")),
    st.sampled_from((1, 2, 3, 64)),
    st.sampled_from(("0.32.0", "0.1")),
    st.fixed_dictionaries(
        {"stepFactors": st.fixed_dictionaries({name: factor_texts for name in ("fixed", "compute", "sequence", "kv")})}
    )
    | st.fixed_dictionaries({"points": st.lists(points, min_size=1, max_size=6)}),
    st.sampled_from((None, 1, 4096, 10**6, 10**9)),
    st.sampled_from((None, "0", "49.9", "50", "100", "999.999")),
    st.sampled_from((None, "2026-11-27T13:00:00Z", "9999-12-31T23:59:59Z")),
)


def parsed(specs: list[dict[str, Any]]) -> list[ModelProfile]:
    """Those that the API server would take, each with a name and a first generation."""
    found: list[ModelProfile] = []
    for index, spec in enumerate(specs):
        metadata = {"name": f"bad-{index}", "uid": f"uid-{index}", "generation": 1}
        try:
            found.append(ModelProfile.model_validate({"metadata": metadata, "spec": spec}))
        except ValidationError:
            continue
    return found


@given(st.lists(profile_specs, min_size=1, max_size=5))
@few
def test_measured_profiles(specs: list[dict[str, Any]]) -> None:
    """The status of each that parses says whether it is used, and one that is not used changes nothing."""
    snapshot = make.snapshot(CLEAN, make.service("dirty", spec=DIRTY_SPEC), measured=parsed(specs))
    judged = prepare(snapshot, FleetMemory()).model_profiles
    plausible = tuple(each.profile for each in judged if isinstance(each.known, Known))
    done, _ = rounds(snapshot, same_as=replace(snapshot, services=(CLEAN,), model_profiles=plausible))
    decision = done.decision
    for each in judged:
        accepted = condition(decision, "Accepted", each.profile.metadata.name)
        assert accepted["status"] == str(each.profile in plausible)
        assert accepted["status"] == "True" or "spec." in accepted["message"], accepted
