"""Keeps what is known of each engine's speed: asks Prometheus once per window, and remembers across restarts.

The ConfigMap that it writes is this operator's own memory and nothing of the cluster's. No failure of it stops a round:
without Prometheus nothing is learned, and without the ConfigMap a restart learns anew. Both are logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from medley_operator.domain.engine.pods import EngineFigures, PodGroup, engine_pods
from medley_operator.domain.speed.calibration import KnownEngines, Turn, fold_sound, told_speeds
from medley_operator.domain.speed.calibration_record import CONFIG_MAP, config_map, read_config_map, worth_writing
from medley_operator.domain.values.labels import CALIBRATION_FIELD_MANAGER
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.snapshot import ObjectKey, Snapshot
from medley_operator.kube.client import KubeClient, WriteCounter
from medley_operator.kube.errors import KubeError, Withheld
from medley_operator.metrics.calibration_exporter import CalibrationExporter
from medley_operator.metrics.errors import MetricsError
from medley_planner.capacity import Speed
from medley_planner.capacity.calibrate import CalibrationState

WRITE_SECONDS = 300.0
"""Between two writes of the ConfigMap."""

log = logging.getLogger(__name__)


class WindowSource(Protocol):
    async def windows(self, *, window_seconds: int) -> Mapping[PodGroup, EngineFigures]: ...


class Calibrator:
    """`namespace` is the operator's own; empty: nothing is remembered. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        source: WindowSource,
        client: KubeClient,
        counter: WriteCounter,
        exporter: CalibrationExporter,
        window_seconds: int,
        namespace: str,
        clock: Callable[[], float],
    ) -> None:
        self._source = source
        self._client = client
        self._counter = counter
        self._exporter = exporter
        self._window_seconds = window_seconds
        self._namespace = namespace
        self._clock = clock
        self._engines: KnownEngines = {}
        self._written: KnownEngines = {}
        self._loaded = False
        self._asked_at: float | None = None
        self._wrote_at: float | None = None

    async def speeds(self) -> dict[LearnedKey, Speed]:
        """The factors that planning uses this round."""
        if not self._loaded:
            await self._load()
        return told_speeds(self._engines)

    async def learn(self, snapshot: Snapshot) -> None:
        """Learns from the last window where one has passed."""
        now = self._clock()
        # Not before the past is known: it would be overwritten.
        if not self._loaded or (self._asked_at is not None and now - self._asked_at < self._window_seconds):
            return
        self._asked_at = now
        await self._learn(snapshot)
        await self._write(now)

    async def _learn(self, snapshot: Snapshot) -> None:
        # In threads, as all plain computing is: health and events must not wait for a large fleet.
        pods = await asyncio.to_thread(engine_pods, snapshot)
        if not pods:
            return
        try:
            figures = await self._source.windows(window_seconds=self._window_seconds)
        except MetricsError as error:
            # The round's own reading of demand reports it as a condition.
            log.warning("calibration skipped a window", extra={"reason": error.reason.value, "error": str(error)})
            self._counter.failed("metrics")
            return
        folded, faults = await asyncio.to_thread(fold_sound, self._engines, figures, pods)
        for fault in faults:
            self._counter.failed("metrics")
            facts = {"object": str(fault.about), "error": fault.error, "trace": fault.trace}
            log.error("calibration failed on the figures of a service and goes on without it", extra=facts)
        self._exporter.learned(windows=folded.learned, skips=folded.skips)
        self._exporter.show(folded.engines)
        for turn in folded.turns:
            _tell(turn)
        self._engines = folded.engines

    async def _load(self) -> None:
        self._loaded = True
        if not self._namespace:
            log.warning("calibration will not survive a restart, because --namespace is not set")
            return
        try:
            found = await self._client.get(ObjectKey("ConfigMap", self._namespace, CONFIG_MAP))
        except KubeError as error:
            self._loaded = not error.retryable
            log.warning("cannot read the stored calibration", extra={"reason": error.reason, "error": str(error)})
            return
        if found is None:
            return
        read = read_config_map(found)
        for problem in read.problems:
            log.warning("a stored calibration is not usable and is learned anew", extra={"error": problem})
        self._engines = self._written = read.engines
        self._exporter.show(read.engines)
        log.info("calibration read", extra={"engines": len(read.engines)})

    async def _write(self, now: float) -> None:
        recent = self._wrote_at is not None and now - self._wrote_at < WRITE_SECONDS
        if recent or not self._namespace or not worth_writing(self._engines, self._written):
            return
        self._wrote_at = now
        manifest = config_map(self._engines, namespace=self._namespace)
        try:
            await self._client.apply(manifest, field_manager=CALIBRATION_FIELD_MANAGER)
        except Withheld:
            return
        except KubeError as error:
            self._counter.failed("apply")
            log.warning(
                "cannot store the calibration; it will be learned anew after a restart",
                extra={"reason": error.reason, "error": str(error)},
            )
            return
        self._written = self._engines
        self._counter.wrote(kind="ConfigMap", verb="apply")


def _tell(turn: Turn) -> None:
    """Loudly where plans go back to the estimate."""
    lost = turn.before is CalibrationState.CALIBRATED
    facts = {
        "engine": {"model": turn.engine.model, **turn.engine.layout.facts},
        "namespace": turn.engine.namespace,
        "reason": turn.after.value,
        "before": turn.before.value,
        "error_share": round(turn.error, 3),
    }
    text = "calibration lost; plans use the estimate again" if lost else "calibration changed"
    log.log(logging.WARNING if lost else logging.INFO, text, extra=facts)
