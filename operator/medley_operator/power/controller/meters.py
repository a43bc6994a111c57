"""Asks Prometheus for the watts of domains: one query for each meter, and one for the GPUs of all nodes.

A query that takes longer than a round does not hold it up: its answer counts in a later one, and none is asked twice at
once. Whatever goes wrong with one meter is that domain's alone.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from medley_operator.api.v1alpha1.power import PowerDomain
from medley_operator.domain.firewall import fault_of
from medley_operator.domain.power.gpu_sum import GpuReadings, NodeReading
from medley_operator.domain.power.view import MeterFault
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.metrics.errors import PrometheusUnavailableError
from medley_operator.metrics.prometheus import Prometheus, TimedSample
from medley_planner.power import MeterAnswer

GPUS = ""
"""Stands for the query of all nodes' GPUs."""
GPU_WATTS = "DCGM_FI_DEV_POWER_USAGE"
MOST_BOARD_WATTS = 10000
"""The DCGM exporter writes far more instead of a missing value."""
WAIT_SHARE = 0.5
"""A round waits for this part of its period; what is not there by then counts in the next one."""
MOST_SERIES = 8
"""More are not kept of an answer that should have one."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class MeterReader:
    """`clock` is Unix time. `matchers`: which GPU series are of this cluster."""

    prometheus: Prometheus
    period_seconds: float
    clock: Callable[[], float]
    matchers: str = ""
    _asked: dict[str, asyncio.Task[Any]] = field(default_factory=dict, init=False)

    async def read(
        self, domains: Iterable[PowerDomain]
    ) -> tuple[dict[str, MeterAnswer | MeterFault], GpuReadings | MeterFault | None]:
        """The answers of meters, by domain, and the GPUs' readings where a domain needs them. A meter that has not
        answered yet is left out."""
        wanted: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {}
        lookbacks: list[float] = []
        for domain in domains:
            spec, lookback = domain.spec, domain.spec.stale_after_seconds / 2
            if spec.meter.query is None:
                lookbacks.append(lookback)
            else:
                wanted[domain.metadata.name] = _call(self._meter, spec.meter.query, lookback)
        if lookbacks:
            wanted[GPUS] = _call(self._gpus, min(lookbacks))
        for name in self._asked.keys() - wanted.keys():
            self._asked.pop(name).cancel()
        for name, ask in wanted.items():
            if name not in self._asked:
                self._asked[name] = asyncio.create_task(ask(), name=f"meter {name}")
        if self._asked:
            await asyncio.wait(self._asked.values(), timeout=WAIT_SHARE * self.period_seconds)
        done = [name for name, task in self._asked.items() if task.done()]
        answers = {name: _answer(name, self._asked.pop(name)) for name in done}
        gpus = answers.pop(GPUS, None)
        return answers, gpus

    async def close(self) -> None:
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def _meter(self, query: str, lookback_seconds: float) -> MeterAnswer | MeterFault:
        try:
            found = await self.prometheus.newest(query, lookback_seconds=lookback_seconds)
        except PrometheusUnavailableError as error:
            return MeterFault(str(error))
        at = max((each.at for each in found), default=self.clock())
        return MeterAnswer(tuple(each.value for each in found[:MOST_SERIES]), at)

    async def _gpus(self, lookback_seconds: float) -> GpuReadings | MeterFault:
        try:
            found = await self.prometheus.newest(gpu_query(self.matchers), lookback_seconds=lookback_seconds)
        except PrometheusUnavailableError as error:
            return MeterFault(str(error))
        return GpuReadings(nodes_of(found), max((each.at for each in found), default=self.clock()))


def _answer(domain: str, task: asyncio.Task[Any]) -> Any:
    """What a query gave. Whatever else went wrong with it is that meter's fault alone, and not the round's."""
    error = task.exception()
    if not isinstance(error, Exception):
        return task.result()
    fault = fault_of(ObjectKey("PowerDomain", "", domain), error)
    log.error("a meter cannot be read", extra={"object": str(fault.about), "error": fault.error, "trace": fault.trace})
    return MeterFault(f"the meter's answer cannot be used ({fault.error}); the log of the controller says where")


def gpu_query(matchers: str) -> str:
    """Watts and number of GPUs by node, as `kind`. Exporters write the host with a capital or without."""
    chosen = f"{GPU_WATTS}{{{matchers}}} < {MOST_BOARD_WATTS}"
    node = 'label_replace({}, "node", "$1", "host", "(.+)")'
    either = f'label_join({chosen}, "host", "", "Hostname", "hostname")'
    parts = [
        f'label_replace({aggregation} by (node) ({node.format(either)}), "kind", "{kind}", "", "")'
        for kind, aggregation in (("watts", "sum"), ("gpus", "count"))
    ]
    return " or ".join(parts)


def nodes_of(found: Iterable[TimedSample]) -> dict[str, NodeReading]:
    """The readings by node. One that lacks a part of the answer is left out."""
    values = {(each.labels.get("node", ""), each.labels.get("kind", "")): each.value for each in found}
    return {
        node: NodeReading(watts, round(values[node, "gpus"]))
        for (node, kind), watts in values.items()
        if kind == "watts" and math.isfinite(values.get((node, "gpus"), math.nan))
    }


def _call(ask: Callable[..., Coroutine[Any, Any, object]], *given: object) -> Callable[[], Coroutine[Any, Any, object]]:
    return lambda: ask(*given)
