"""The operator's metrics of what a round found and decided: one table for each kind of thing, a row for each gauge.

Pure. A new gauge is a row here, and a row in docs/reference.md: its name, its help, and how it follows from the
decision. Counters and timings of the loop itself are in `metrics.exporter`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from medley_operator.api.v1alpha1 import Condition, LLMServiceStatus
from medley_operator.domain.load.figures import LoadFigures, figures_of, figures_of_status
from medley_operator.domain.report.load_gauges import SEEN_GAUGES, SERVICE_LABELS, SeenService, seen_gauges
from medley_operator.domain.report.pool_nodes import PoolNodes
from medley_operator.domain.report.power_gauges import POWER_GAUGES, energy_per_million_tokens
from medley_operator.domain.report.target import recommended
from medley_operator.domain.rollout.decision import ServiceDecision, VariantRow
from medley_operator.domain.values.candidates import Disposition, PoolState, Prepared
from medley_operator.domain.values.conditions import ConditionStatus, PlanReason
from medley_operator.domain.values.gauges import GaugeFamily, GaugeSample
from medley_operator.domain.values.leadtime import Component, LeadTimes, unix_seconds
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Observation
from medley_planner.check import Attained

Subject = TypeVar("Subject")
VARIANT_LABELS = (*SERVICE_LABELS, "variant", "pool", "gpu")
POOL_LABELS = ("pool",)


@dataclass(frozen=True, slots=True)
class ShownService:
    """A service of this round: what was decided, and the status that says so."""

    outcome: ServiceDecision
    status: LLMServiceStatus

    @property
    def figures(self) -> LoadFigures:
        """The load of the newest plan."""
        choice = self.outcome.candidate.choice
        if choice is not None and self.outcome.goal.plan is not None:
            return figures_of(choice.demand)
        return figures_of_status(self.status.load)


@dataclass(frozen=True, slots=True)
class GaugeRow(Generic[Subject]):
    """A gauge of a kind of subject; it has no series for one whose `value` is None."""

    name: str
    help: str
    value: Callable[[Subject], float | None]


def _best_single(shown: ShownService) -> float | None:
    single = shown.status.plan.best_single if shown.status.plan is not None else None
    return single.cost_per_hour_usd if single is not None else None


def _unserved(shown: ShownService) -> float:
    if shown.outcome.goal.plan is not None:
        return sum(part.rate_rps for part in shown.outcome.goal.plan.unserved)
    return shown.status.plan.unserved_rps if shown.status.plan is not None else 0.0


def _last_change(shown: ShownService) -> float | None:
    history = shown.status.history
    return unix_seconds(history[-1].at) if history else None


def _predicted(shown: ShownService) -> float | None:
    """As the status says, so that a round that did not reach the service shows what the plan was found to be."""
    percent = shown.status.plan.predicted_percent if shown.status.plan is not None else None
    return min(percent / 100.0, 1.0) if percent is not None else None


def _simulated(shown: ShownService, seconds: Callable[[Attained], float]) -> float | None:
    """The highest of its variants."""
    checked = shown.outcome.goal.checked
    found = [seconds(each) for each in checked.variants.values()] if checked is not None else []
    return max((each for each in found if not math.isnan(each)), default=None)


SERVICE_GAUGES: tuple[GaugeRow[ShownService], ...] = (
    GaugeRow(
        "medley_service_request_rate",
        "Planned rate in requests per second.",
        lambda shown: shown.figures.rate_rps,
    ),
    GaugeRow(
        "medley_service_prompt_tokens_mean",
        "Mean prompt length of the planned load, in tokens.",
        lambda shown: shown.figures.prompt_tokens_mean,
    ),
    GaugeRow(
        "medley_service_generation_tokens_mean",
        "Mean generation length of the planned load, in tokens.",
        lambda shown: shown.figures.generation_tokens_mean,
    ),
    GaugeRow(
        "medley_service_cost_per_hour_dollars",
        "Cost of the planned replicas, in US dollars per hour.",
        lambda shown: shown.outcome.cost_per_hour,
    ),
    GaugeRow(
        "medley_service_best_single_cost_per_hour_dollars",
        "Cost of the cheapest fleet of one variant, in US dollars per hour; absent where no single variant serves the "
        "load.",
        _best_single,
    ),
    GaugeRow(
        "medley_service_unserved_request_rate",
        "Requests per second that the plan leaves out.",
        _unserved,
    ),
    GaugeRow(
        "medley_predicted_slo_attainment_ratio",
        "Share of requests within both targets, by simulation of the plan; absent where the plan was not simulated.",
        _predicted,
    ),
    GaugeRow(
        "medley_service_planned_energy_kwh_per_million_tokens",
        "Energy that the GPUs of the planned replicas are expected to draw for a million tokens of the planned load, "
        "prompts included, in kWh; absent where no PowerDomain feeds them.",
        lambda shown: energy_per_million_tokens(shown.outcome, shown.figures),
    ),
    GaugeRow(
        "medley_predicted_ttft_seconds",
        "Time to first token at the target's percentile, by simulation of the plan, of its slowest variant.",
        lambda shown: _simulated(shown, lambda variant: variant.ttft_seconds),
    ),
    GaugeRow(
        "medley_predicted_tpot_seconds",
        "Time per output token at the target's percentile, by simulation of the plan, of its slowest variant.",
        lambda shown: _simulated(shown, lambda variant: variant.tpot_seconds),
    ),
    GaugeRow(
        "medley_service_plan_held",
        "1 while the last plan is held because data is missing.",
        lambda shown: float(shown.outcome.goal.reason == PlanReason.HELD),
    ),
    GaugeRow(
        "medley_service_last_change_timestamp_seconds",
        "Unix time of the last change of the replicas in force; absent where nothing was changed yet.",
        _last_change,
    ),
)
"""Gauges with `SERVICE_LABELS`."""

VARIANT_GAUGES: tuple[GaugeRow[VariantRow], ...] = (
    GaugeRow("medley_variant_desired_replicas", "Planned replicas.", lambda row: row.desired),
    GaugeRow("medley_variant_ready_replicas", "Ready replicas of the variant.", lambda row: row.ready),
)
"""Gauges with `VARIANT_LABELS`."""

POOL_GAUGES: tuple[GaugeRow[PoolState], ...] = (
    GaugeRow(
        "medley_pool_stock_gpus",
        "GPUs that the planner may use, those that replicas hold included; absent where there is no limit.",
        lambda state: state.stock_gpus,
    ),
    GaugeRow(
        "medley_pool_free_gpus",
        "GPUs that no pod holds, on nodes where new replicas may start; absent where there is no limit.",
        lambda state: state.stock.free_gpus,
    ),
    GaugeRow(
        "medley_pool_foreign_gpus",
        "GPUs of the pool's nodes that pods of others hold; absent while the operator cannot read pods.",
        lambda state: state.stock.foreign_gpus,
    ),
    GaugeRow(
        "medley_pool_ready_nodes",
        "Ready, schedulable nodes that match the pool's node selector.",
        lambda state: state.stock.ready_nodes,
    ),
)
"""Gauges with `POOL_LABELS`."""

_PROBLEM = GaugeFamily(
    "medley_service_problem",
    (*SERVICE_LABELS, "condition", "reason"),
    "1 for each condition of the service that is False.",
)
_POOL_PROBLEM = GaugeFamily(
    "medley_pool_problem",
    (*POOL_LABELS, "condition", "reason"),
    "1 for each condition of the pool that was False when the round began.",
)
_RECOMMENDED = GaugeFamily(
    "medley_recommended_replicas",
    (*SERVICE_LABELS, "variant", "pool"),
    "Replicas of the newest plan, whether it is acted on or not; absent where the service is paused or has no plan.",
)
_NODES = GaugeFamily("medley_pool_planned_nodes", POOL_LABELS, "Whole nodes that the plan pays for.")
_IDLE = GaugeFamily(
    "medley_pool_idle_cost_per_hour_dollars",
    POOL_LABELS,
    "Cost of the parts of planned nodes that no replica uses, in US dollars per hour.",
)
_STARTS = GaugeFamily(
    "medley_lead_time_starts", ("model", "gpu", "node"), "Number of starts behind the lead times.", stays=True
)
_LEAD = GaugeFamily(
    "medley_lead_time_seconds",
    (*_STARTS.labels, "component"),
    "90th percentile of recent replica start-up times, in total and by component.",
    stays=True,
)

GAUGES: tuple[GaugeFamily, ...] = (
    *(GaugeFamily(row.name, SERVICE_LABELS, row.help) for row in SERVICE_GAUGES),
    *SEEN_GAUGES,
    *(GaugeFamily(row.name, VARIANT_LABELS, row.help) for row in VARIANT_GAUGES),
    *(GaugeFamily(row.name, POOL_LABELS, row.help) for row in POOL_GAUGES),
    _PROBLEM,
    _POOL_PROBLEM,
    _RECOMMENDED,
    _NODES,
    _IDLE,
    _STARTS,
    _LEAD,
    *POWER_GAUGES,
)
"""All of them, for the exporter."""


def service_gauges(outcome: ServiceDecision, status: LLMServiceStatus) -> tuple[GaugeSample, ...]:
    """The series of one service and of its variants."""
    key = tuple(outcome.candidate.key)
    samples = [*_samples(SERVICE_GAUGES, ShownService(outcome, status), key)]
    for row in outcome.rows:
        samples += _samples(VARIANT_GAUGES, row, (*key, row.name, row.pool, row.gpu))
    samples += _problems(_PROBLEM, key, status.conditions)
    if outcome.goal.reason != PlanReason.PAUSED:
        samples += [
            GaugeSample(_RECOMMENDED.name, (*key, *where), count) for where, count in recommended(status).items()
        ]
    return tuple(samples)


def fleet_gauges(
    pools: Iterable[PoolNodes], prepared: Prepared, observations: Mapping[ServiceKey, Observation]
) -> tuple[GaugeSample, ...]:
    """The series that only change with a round of the planner."""
    samples: list[GaugeSample] = []
    for candidate in prepared.services:
        if candidate.disposition is not Disposition.LEAVING:
            observation = observations.get(candidate.key)
            samples += seen_gauges(SeenService(candidate, observation.latencies if observation is not None else {}))
    for state in prepared.pools:
        labels = (state.pool.metadata.name,)
        samples += _samples(POOL_GAUGES, state, labels)
        samples += _problems(_POOL_PROBLEM, labels, state.pool.status.conditions)
    for each in pools:
        samples.append(GaugeSample(_NODES.name, (each.pool,), each.planned_nodes))
        # A round without a plan knows no other figure: the last one stays.
        samples.append(GaugeSample(_IDLE.name, (each.pool,), each.idle_cost_per_hour))
    return (*samples, *_lead_samples(prepared.leads))


def _samples(rows: Sequence[GaugeRow[Subject]], subject: Subject, labels: tuple[str, ...]) -> Iterator[GaugeSample]:
    for row in rows:
        value = row.value(subject)
        if value is not None:
            yield GaugeSample(row.name, labels, value)


def _problems(family: GaugeFamily, labels: tuple[str, ...], conditions: Iterable[Condition]) -> Iterator[GaugeSample]:
    for condition in conditions:
        if condition.status == ConditionStatus.FALSE:
            yield GaugeSample(family.name, (*labels, condition.type, condition.reason), 1.0)


def _lead_samples(leads: LeadTimes) -> Iterator[GaugeSample]:
    """How long replicas of a model take to start on a type of GPU, by component, on nodes that are warm or cold."""
    leads = leads.everywhere()
    for key, starts in leads.starts.items():
        labels = (key.model, key.gpu, key.node.value)
        yield GaugeSample(_STARTS.name, labels, len(starts))
        for part in Component:
            yield GaugeSample(_LEAD.name, (*labels, part.value), leads.p90(key, part) or 0.0)
