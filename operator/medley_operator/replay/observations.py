"""From the scraped figures of one service to the operator's own reading of them. Pure.

The figures have the roles that the operator asks Prometheus for (`metrics.queries`). `metrics.observation` decides what
they mean, as in a cluster. The replay has no gateway that counts sizes, and its engines do not export how full their KV
cache is. So sizes are joined by variant, or taken as independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.engine.arguments import served_model_name
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_operator.metrics.by_service import SizeFigures
from medley_operator.metrics.engine_names import EVERY_ENGINE
from medley_operator.metrics.errors import MetricsError
from medley_operator.metrics.lanes import asked_window
from medley_operator.metrics.latencies import latencies_by_variant
from medley_operator.metrics.observation import explain_absence, observe_live
from medley_operator.metrics.queries import FigureRole
from medley_operator.metrics.service_series import ServiceSeries
from medley_operator.metrics.sizes import JointFigures
from medley_operator.replay.scrapes import TPOT_EDGES, TTFT_EDGES, CounterColumns, Floats, PodWindow, Scrapes

ADDRESS = "of the replay"
UNAVAILABLE = Observation(MetricsReason.UNAVAILABLE, message="the replay's Prometheus does not answer now")


def observation(service: LLMService, scrapes: Scrapes, *, now: float, unix_offset: float) -> Observation:
    """The service as the operator sees it. `unix_offset`: Unix time of the replay's start."""
    key = ServiceKey.of(service)
    seconds = asked_window(service.spec.workload.window_seconds)
    question = ServiceSeries(key=key, window_seconds=seconds, names=EVERY_ENGINE, address=ADDRESS)
    pods = scrapes.window(now, seconds)
    live = [pod for pod in pods if pod.live]
    try:
        if not live:
            seen = {FigureRole.SEEN: float(bool(pods)), FigureRole.TARGETS: 0.0}
            raise explain_absence(question, seen)
        found = observe_live(
            question,
            now=unix_offset + now,
            figures=_figures(pods, live, unix_offset),
            prompt=_sizes(pods, scrapes.columns.prompt, scrapes.columns.prompt_edges, CounterColumns.PROMPT_TOKENS),
            generation=_sizes(
                pods, scrapes.columns.generation, scrapes.columns.generation_edges, CounterColumns.GENERATION_TOKENS
            ),
            joint=JointFigures(),
        )
    except MetricsError as error:
        return Observation(reason=error.reason, message=f"{served_model_name(service)}: {error}")
    return replace(
        found,
        pod_requests={pod.target.pod: _requests(pod.newest) for pod in live},
        latencies=latencies_by_variant(
            _sizes(pods, scrapes.columns.ttft, TTFT_EDGES, CounterColumns.FIRST_TOKENS),
            _sizes(pods, scrapes.columns.tpot, TPOT_EDGES, CounterColumns.DECODES),
        ),
    )


def _figures(pods: Sequence[PodWindow], live: Sequence[PodWindow], unix_offset: float) -> dict[FigureRole, float]:
    risen = [pod.increase for pod in pods if pod.increase is not None]
    total: Floats | float = np.sum(risen, axis=0) if risen else 0.0
    figures = {
        FigureRole.NEWEST: unix_offset + max(pod.last_at for pod in live),
        FigureRole.EARLIEST: unix_offset + min(pod.first_at for pod in pods),
        FigureRole.SCRAPES: float(max(pod.samples for pod in pods)),
        FigureRole.PODS: float(len(live)),
        FigureRole.RUNNING: float(sum(pod.newest[CounterColumns.RUNNING] for pod in live)),
        FigureRole.WAITING: float(sum(pod.newest[CounterColumns.WAITING] for pod in live)),
    }
    if not isinstance(total, float):
        figures |= {
            FigureRole.COMPLETED: float(total[CounterColumns.COMPLETED]),
            FigureRole.RUNNING_GROWTH: float(total[CounterColumns.RUNNING]),
            FigureRole.WAITING_GROWTH: float(total[CounterColumns.WAITING]),
        }
    return figures


def _sizes(pods: Sequence[PodWindow], place: slice, edges: tuple[float, ...], tokens: int) -> SizeFigures:
    """The size histogram of each ReplicaSet; counts are of all requests up to an edge."""
    by_set: dict[tuple[str, ...], Floats] = {}
    for pod in pods:
        if pod.increase is not None:
            known = by_set.get(pod.target.replica_set)
            by_set[pod.target.replica_set] = pod.increase if known is None else known + pod.increase
    names = [*(f"{edge:g}" for edge in edges), "+Inf"]
    groups = {key: dict(zip(names, np.cumsum(row[place]).tolist(), strict=True)) for key, row in by_set.items()}
    return SizeFigures(groups=groups, tokens={key: float(row[tokens]) for key, row in by_set.items()})


def _requests(row: Floats) -> float:
    return float(row[CounterColumns.RUNNING] + row[CounterColumns.WAITING])
