"""The energy that replicas of the replayed world draw: each engine by its steps, at the clock of its node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from medley_operator.replay.pods import EnginePod
from medley_planner.capacity.watts import idle_watts, mean_watts
from medley_planner.engine import EngineState
from medley_planner.layout import UNCAPPED_PERCENT

StateOf = Callable[[EnginePod], EngineState]
"""The counters of a pod's engine now."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """Up to when a pod is counted, and what its engine had done by then."""

    seconds: float
    busy: float = 0.0
    prompts: float = 0.0


@dataclass(slots=True)
class EnergyMeter:
    """`joules`: of the GPUs that replicas hold, idle ones included; `by_node`: since it was last cleared.
    `capped_gpu_seconds`: for which GPUs of replicas were held to lower clocks. `limit_watts`: of a GPU of each pool.
    """

    limit_watts: dict[str, float]
    clocks: dict[str, int]
    """The clocks that the GPUs of nodes are held to, in percent; those that are missing are not capped."""
    joules: float = 0.0
    capped_gpu_seconds: float = 0.0
    by_node: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _counted: dict[str, _Counted] = field(default_factory=dict)

    def clock(self, node: str) -> int:
        return self.clocks.get(node, UNCAPPED_PERCENT)

    def count(self, pod: EnginePod, state_of: StateOf, *, now: float) -> None:
        """Adds what a pod drew since it was counted last, at the clock of now: call it before a clock changes and
        before the pod ends."""
        if pod.placed is None:
            return
        before = self._counted.get(pod.name, _Counted(pod.placed))
        seconds = now - before.seconds
        if seconds <= 0.0:
            return
        limit, clock = self.limit_watts[pod.workload.pool], self.clock(pod.node)
        busy = prompts = 0.0
        after = _Counted(now)
        if pod.engine is not None:
            state = state_of(pod)
            after = _Counted(now, state.busy_seconds, state.prompt_seconds)
            busy = max(after.busy - before.busy, 0.0)
            prompts = min(max(after.prompts - before.prompts, 0.0), busy)
        watts = mean_watts(
            replace(pod.workload.replica.layout, clock_percent=clock),
            prefill_share=prompts / busy if busy > 0.0 else 0.0,
            # A step counts when it has ended: it may have begun before this reading.
            busy_share=min(busy / seconds, 1.0),
            limit_watts=limit,
        )
        self._counted[pod.name] = after
        self.joules += seconds * watts
        self.by_node[pod.node] += seconds * watts
        if clock < UNCAPPED_PERCENT:
            self.capped_gpu_seconds += seconds * pod.workload.gpus

    def idle_watts(self, pool: str, gpus: int) -> float:
        return gpus * idle_watts(self.limit_watts[pool])
