"""The dashboard of the operator itself: its rounds, its solver, its errors, what it writes, and who leads."""

from __future__ import annotations

from medley_operator.dashboards.panels import (
    CLUSTER,
    OF_CLUSTER,
    Board,
    Lines,
    Proof,
    Query,
    Section,
    Stat,
    Unit,
)

_IN = f"{{{OF_CLUSTER}}}"


def _rate(metric: str, by: str = "", matchers: str = "") -> str:
    chosen = f"{{{OF_CLUSTER}{',' if matchers else ''}{matchers}}}"
    return f"sum{f' by ({by}) ' if by else ''}(rate({metric}{chosen}[$__rate_interval]))"


def _quantile(share: float, metric: str) -> str:
    return f"histogram_quantile({share}, {_rate(f'{metric}_bucket', 'le')})"


_NOW = Section(
    "Now",
    (
        Stat(title="Leaders", unit=Unit.COUNT, queries=[Query(f"sum(medley_leader{_IN})")], low=True, warn=1),
        Stat(
            title="Plan age",
            unit=Unit.SECONDS,
            queries=[Query(f"time() - max(medley_plan_last_success_timestamp_seconds{_IN})")],
            warn=600,
            bad=3600,
        ),
        Stat(title="Plan gap", unit=Unit.SHARE, queries=[Query(f"max(medley_plan_gap_ratio{_IN})")], warn=0.05),
        Stat(
            title="Capacity tables that plans lack",
            unit=Unit.COUNT,
            queries=[Query(f"max(medley_capacity_tables_missing{_IN})")],
        ),
        Stat(
            title="Errors",
            unit=Unit.COUNT,
            description="In the last hour.",
            queries=[Query(f"sum(increase(medley_errors_total{_IN}[1h]))")],
            warn=1,
        ),
        Stat(
            title="Services that Medley fails on",
            unit=Unit.COUNT,
            description="In the last ten minutes; the operator's log has the traces.",
            queries=[
                Query(
                    f"count(sum by (namespace, service) (increase(medley_service_errors_total{_IN}[10m])) > 0)"
                    " or vector(0)",
                    proof=Proof.SERIES,
                )
            ],
            bad=1,
        ),
    ),
)
_LOOP = Section(
    "Loop",
    (
        Lines(
            title="Rounds by outcome",
            unit=Unit.PER_SECOND,
            queries=[Query(_rate("medley_rounds_total", "outcome"), "{{outcome}}")],
        ),
        Lines(
            title="From an event to its plan and to its write, p99",
            unit=Unit.SECONDS,
            queries=[
                Query(_quantile(0.99, "medley_event_to_plan_start_seconds"), "plan starts"),
                Query(_quantile(0.99, "medley_event_to_write_seconds"), "first write"),
            ],
        ),
        Lines(
            title="Solver time",
            unit=Unit.SECONDS,
            queries=[
                Query(_quantile(0.5, "medley_plan_solve_seconds"), "median"),
                Query(_quantile(0.99, "medley_plan_solve_seconds"), "p99"),
            ],
        ),
        Lines(
            title="Gap",
            unit=Unit.SHARE,
            description="Proven distance of the last plan's cost from its lower bound.",
            queries=[Query(f"max by (cluster) (medley_plan_gap_ratio{_IN})", "gap {{cluster}}")],
        ),
    ),
)
_ERRORS = Section(
    "Errors",
    (
        Lines(
            title="Prometheus errors",
            unit=Unit.PER_SECOND,
            description="Rounds in which Prometheus gave no usable answer.",
            queries=[Query(_rate("medley_errors_total", matchers='component="metrics"'), "metrics")],
        ),
        Lines(
            title="Errors by component",
            unit=Unit.PER_SECOND,
            queries=[Query(_rate("medley_errors_total", "component"), "{{component}}")],
        ),
        Lines(
            title="Calibration: windows used and skipped",
            unit=Unit.PER_SECOND,
            queries=[
                Query(_rate("medley_calibration_windows_total"), "learned from"),
                Query(_rate("medley_calibration_skipped_windows_total", "reason"), "{{reason}}"),
            ],
        ),
        Lines(
            title="Calibration: learned step time by its estimate",
            unit=Unit.COUNT,
            queries=[
                Query(
                    f"max by (namespace, model, gpu, part) (medley_calibration_factor{_IN})",
                    "{{namespace}} {{model}} {{gpu}} {{part}}",
                    proof=Proof.SERIES,
                )
            ],
        ),
    ),
)
_WRITES = Section(
    "Writes and leader",
    (
        Lines(
            title="Writes to the API server",
            unit=Unit.PER_SECOND,
            width=8,
            queries=[Query(_rate("medley_writes_total", "kind, verb"), "{{kind}} {{verb}}")],
        ),
        Lines(
            title="Writes that the mode kept back",
            unit=Unit.PER_SECOND,
            width=8,
            queries=[Query(_rate("medley_withheld_writes_total", "kind"), "{{kind}}", proof=Proof.SERIES)],
        ),
        Lines(
            title="Leader",
            unit=Unit.COUNT,
            width=8,
            steps=True,
            queries=[Query(f"max by (instance) (medley_leader{_IN})", "{{instance}}")],
        ),
    ),
)
OPERATOR = Board(
    name="operator",
    title="Medley operator",
    description="Rounds, solver, errors, writes and leader of Medley's operator.",
    variables=(CLUSTER,),
    sections=(_NOW, _LOOP, _ERRORS, _WRITES),
)
