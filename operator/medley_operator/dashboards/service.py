"""The dashboard of one LLMService: its load, its targets, its replicas and what they cost."""

from __future__ import annotations

from dataclasses import replace

from medley_operator.dashboards.panels import (
    CLUSTER,
    NAMESPACE,
    OF_SERVICE,
    SERVICE,
    Annotation,
    Board,
    HeatMap,
    Lines,
    Matrix,
    Proof,
    Query,
    Section,
    Stat,
    Table,
    Unit,
)


def _of(metric: str) -> str:
    """The figure of the service, whichever replica of the operator says it."""
    return f"max by (cluster, namespace, service) ({metric}{{{OF_SERVICE}}})"


_PLANNED_TOKENS = (
    f"({_of('medley_service_request_rate')} * "
    f"({_of('medley_service_prompt_tokens_mean')} + {_of('medley_service_generation_tokens_mean')}) > 0)"
)
_COST = _of("medley_service_cost_per_hour_dollars")
_RECORDED = "Recorded by the chart's rules (monitoring.prometheusRule)."
_UPPER, _LOWER = "planned", "forecast without its margin"

_NOW = Section(
    "Now",
    (
        Stat(
            title="Request rate",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=[Query(_of("medley_service_measured_request_rate"))],
        ),
        Stat(
            title="Requests within both targets",
            unit=Unit.SHARE,
            queries=[Query(_of("medley_service_attained_ratio"))],
            low=True,
            warn=0.95,
            bad=0.9,
        ),
        Stat(title="Cost per hour", unit=Unit.DOLLARS, queries=[Query(_COST)]),
        Stat(
            title="Cost per million tokens",
            unit=Unit.DOLLARS,
            description="Of the plan, per million prompt and generated tokens of its load.",
            queries=[Query(f"1e6 * {_COST} / 3600 / {_PLANNED_TOKENS}")],
        ),
        Stat(
            title="Ready of desired replicas",
            unit=Unit.SHARE,
            queries=[
                Query(
                    f"sum(medley_variant_ready_replicas{{{OF_SERVICE}}}) / "
                    f"(sum(medley_variant_desired_replicas{{{OF_SERVICE}}}) > 0)"
                )
            ],
            low=True,
            warn=1,
            bad=0.5,
        ),
        Stat(
            title="Since the last change",
            unit=Unit.SECONDS,
            queries=[Query(f"time() - {_of('medley_service_last_change_timestamp_seconds')}")],
        ),
    ),
)
_LOAD = Section(
    "Load",
    (
        Lines(
            title="Request rate",
            unit=Unit.REQUESTS_PER_SECOND,
            description="The band is the safety margin of the forecast; without a forecast there is none.",
            band=(_UPPER, _LOWER),
            queries=[
                Query(_of("medley_service_measured_request_rate"), "measured"),
                Query(_of("medley_service_request_rate"), _UPPER),
                Query(
                    f"{_of('medley_service_request_rate')} / (1 + {_of('medley_service_forecast_margin_ratio')})",
                    _LOWER,
                    proof=Proof.SERIES,
                ),
                Query(f"sum(medley:requests:rate5m{{{OF_SERVICE}}})", "finished"),
            ],
        ),
        Matrix(
            title="Prompt x generation length",
            unit=Unit.REQUESTS_PER_SECOND,
            description="Requests per second of the planned load, by upper edges of prompt (rows) and generation.",
            rows="prompt_le",
            columns="generation_le",
            queries=[Query(f"max by (prompt_le, generation_le) (medley_service_size_request_rate{{{OF_SERVICE}}})")],
        ),
        HeatMap(
            title="Prompt length",
            unit=Unit.TOKENS,
            description=_RECORDED,
            queries=[Query(f"sum by (le) (medley:prompt_tokens_bucket:rate5m{{{OF_SERVICE}}})")],
        ),
        HeatMap(
            title="Generation length",
            unit=Unit.TOKENS,
            description=_RECORDED,
            queries=[Query(f"sum by (le) (medley:generation_tokens_bucket:rate5m{{{OF_SERVICE}}})")],
        ),
    ),
)


def _latency(title: str, metric: str) -> Lines:
    return Lines(
        title=title,
        unit=Unit.SECONDS,
        description=f"Attained, and planned by simulation of the plan: at the target's percentile. {_RECORDED}",
        width=8,
        queries=[
            Query(_of(f"medley_service_{metric}_seconds"), "attained"),
            Query(_of(f"medley_predicted_{metric}_seconds"), "planned"),
            Query(_of(f"medley_service_{metric}_target_seconds"), "target"),
            Query(
                f"histogram_quantile(0.5, sum by (le) (medley:{metric}_seconds_bucket:rate5m{{{OF_SERVICE}}}))",
                "median",
            ),
        ],
    )


_TARGETS = Section(
    "Targets",
    (
        _latency("Time to first token", "ttft"),
        _latency("Time per output token", "tpot"),
        Lines(
            title="Requests within both targets",
            unit=Unit.SHARE,
            width=8,
            queries=[
                Query(_of("medley_service_attained_ratio"), "attained"),
                Query(_of("medley_predicted_slo_attainment_ratio"), "predicted by simulation of the plan"),
                Query(_of("medley_service_target_ratio"), "target"),
            ],
        ),
    ),
)
_REPLICAS = Section(
    "Replicas",
    (
        Lines(
            title="Desired replicas by variant",
            unit=Unit.COUNT,
            stacked=True,
            steps=True,
            queries=[Query(f"max by (variant) (medley_variant_desired_replicas{{{OF_SERVICE}}})", "{{variant}}")],
        ),
        Lines(
            title="Ready replicas by variant",
            unit=Unit.COUNT,
            stacked=True,
            steps=True,
            queries=[Query(f"max by (variant) (medley_variant_ready_replicas{{{OF_SERVICE}}})", "{{variant}}")],
        ),
    ),
)
_COSTS = Section(
    "Cost",
    (
        Lines(
            title="Cost per hour",
            unit=Unit.DOLLARS,
            width=8,
            queries=[
                Query(_COST, "plan"),
                Query(_of("medley_service_best_single_cost_per_hour_dollars"), "best single type"),
            ],
        ),
        Lines(
            title="Cost per million tokens",
            unit=Unit.DOLLARS,
            description=f"Served: by the tokens that the engines counted. {_RECORDED}",
            width=8,
            queries=[
                Query(f"1e6 * {_COST} / 3600 / {_PLANNED_TOKENS}", "planned"),
                Query(f"1e6 * {_COST} / 3600 / ({_of('medley:tokens:rate5m')} > 0)", "served"),
            ],
        ),
        Table(
            title="Problems",
            unit=Unit.COUNT,
            width=8,
            labels=("condition", "reason"),
            queries=[Query(f"max by (condition, reason) (medley_service_problem{{{OF_SERVICE}}})", proof=Proof.SERIES)],
        ),
    ),
)
SERVICE_BOARD = Board(
    name="service",
    title="Medley service",
    description="Load, targets, replicas and cost of one LLMService.",
    variables=(CLUSTER, replace(NAMESPACE, every=False), replace(SERVICE, every=False)),
    sections=(_NOW, _LOAD, _TARGETS, _REPLICAS, _COSTS),
    annotations=(
        Annotation(
            "Plan in force",
            Query(f"1000 * {_of('medley_service_last_change_timestamp_seconds')}"),
            "Medley changed the replicas of {{namespace}}/{{service}}",
        ),
    ),
)
