"""The control of a simulated row: a late meter, the policy, commands that take time, the facility's brake, outages.

It steps the policy of `medley_planner.power.policy` itself once a second, so that what is simulated is what runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from medley_planner.model import Priority
from medley_planner.power.checks import build_tree
from medley_planner.power.curtail import Curtailment
from medley_planner.power.ladder import UNCAPPED, GpuSetting, Ladder
from medley_planner.power.meter import MeterAnswer, RiseHistory
from medley_planner.power.policy import PolicyState, step
from medley_planner.power.simulate.requests import DAY_SECONDS
from medley_planner.power.simulate.row import ServerRow
from medley_planner.power.simulate.server import BOARDS, NON_GPU_WATTS
from medley_planner.power.tree import CappedDomain, CappedGpu, CappedNode, DomainTree

BRAKED = GpuSetting(288.0 / 1410.0)
"""The facility's brake holds every A100 to 288 MHz."""
BRAKE_SEEN_SECONDS = 2
BRAKE_ACTS_SECONDS = 5
BRAKE_LEAST_SECONDS = 30
BRAKE_RELEASE = 0.9
CURTAILED_HOURS = (13, 16)
DOMAIN = "row"
WARM_UP_SECONDS = 3600
"""The row starts empty; figures of its power begin after this time."""
_FRESH_SECONDS = 8.0
_OUTAGE_HOURS = (8.0, 20.0)


class OnLoss(StrEnum):
    """The act of agents when the lease of a lost controller has run out."""

    SAFE = "safe"
    HOLD = "hold"
    UNCAP = "uncap"


@dataclass(frozen=True, slots=True)
class Control:
    """How a row is controlled. `ladder` None: by the brake alone.

    `under_read` is the share that the meter reads too little. Each day has so many outages of the controller, at random
    times of the day, for which the agents are left alone; after `lease_seconds` they do what `on_loss` says.
    `curtail_part`: each day from 13:00 to 16:00 a curtailment holds the row to this part of its budget.
    """

    ladder: Ladder | None
    telemetry_seconds: int = 2
    actuation_seconds: int = 1
    under_read: float = 0.0
    meter_error: float = 0.0
    outages_per_day: int = 0
    outage_seconds: int = 1200
    lease_seconds: int = 30
    on_loss: OnLoss = OnLoss.SAFE
    curtail_part: float | None = None


def row_tree(control: Control, *, servers: int, high_servers: int, budget_watts: float) -> DomainTree:
    """The row as one domain; every server's eight GPUs count as one."""
    nodes = []
    for index in range(servers):
        priority = Priority.LOW if index < servers - high_servers else Priority.HIGH
        nodes.append(CappedNode(str(index), NON_GPU_WATTS, (CappedGpu(str(index), BOARDS, priority),)))
    domain = CappedDomain(
        DOMAIN,
        budget_watts,
        control.ladder or Ladder("none", ()),
        nodes=tuple(nodes),
        stale_seconds=float(control.telemetry_seconds) + _FRESH_SECONDS,
        telemetry_seconds=float(control.telemetry_seconds),
        actuation_seconds=float(control.actuation_seconds),
        meter_error=control.meter_error,
    )
    return build_tree([domain])


@dataclass(slots=True)
class Controller:
    """One row under control. `tick` is called once a second with the row's mean watts of that second."""

    control: Control
    row: ServerRow
    tree: DomainTree
    days: int
    seed: int
    brakes: int = 0
    soft_brakes: int = 0
    capped_seconds: int = 0
    rises: RiseHistory = field(default_factory=lambda: RiseHistory(0.0))
    _state: PolicyState = field(default_factory=PolicyState)
    _seconds: deque[float] = field(default_factory=lambda: deque(maxlen=2))
    _readings: deque[tuple[int, float]] = field(default_factory=deque)
    _due: deque[tuple[int, int, GpuSetting]] = field(default_factory=deque)
    _settings: dict[int, GpuSetting] = field(default_factory=dict)
    _brake_from: int | None = None
    _brake_until: int | None = None
    _outages: Sequence[int] = ()
    _events: tuple[Curtailment, ...] = ()

    def __post_init__(self) -> None:
        self.rises = RiseHistory(self.tree.domains[DOMAIN].settle_seconds)
        if self.control.curtail_part is not None:
            target = self.control.curtail_part * self.tree.domains[DOMAIN].budget_watts
            hours = [[float(day * DAY_SECONDS + hour * 3600) for hour in CURTAILED_HOURS] for day in range(self.days)]
            self._events = tuple(Curtailment(f"day {day}", DOMAIN, target, *each) for day, each in enumerate(hours))
        if self.control.outages_per_day:
            self._outages = self._draw_outages()

    def tick(self, now: int, watts: float) -> None:
        self._seconds.append(watts)
        self._readings.append((now, sum(self._seconds) / len(self._seconds)))
        if now > WARM_UP_SECONDS:
            self.rises = self.rises.observe(self._readings[-1][1] / self.tree.domains[DOMAIN].budget_watts, float(now))
        self._brake(now)
        if self.control.ladder is not None:
            self._answer(now)
        while self._due and self._due[0][0] <= now:
            _, server, setting = self._due.popleft()
            self._hold(server, setting)

    def _brake(self, now: int) -> None:
        budget = self.tree.domains[DOMAIN].budget_watts
        pressure = self._readings[-1][1] / budget
        if self._brake_from is None and self._brake_until is None and pressure > 1.0:
            self.brakes += 1
            self._brake_from = now + BRAKE_SEEN_SECONDS + BRAKE_ACTS_SECONDS
        elif self._brake_from is not None and now >= self._brake_from:
            self._brake_from, self._brake_until = None, now + BRAKE_LEAST_SECONDS
            self._hold_all()
        elif self._brake_until is not None and now >= self._brake_until and pressure < BRAKE_RELEASE:
            self._brake_until = None
            self._hold_all()

    def _answer(self, now: int) -> None:
        """The controller's turn, or the agents' own while it is lost."""
        lost = next((now - start for start in self._outages if 0 <= now - start < self.control.outage_seconds), None)
        if lost is not None:
            if lost == self.control.lease_seconds:
                self._lease_over(now)
            return
        answers = {}
        while self._readings and self._readings[0][0] <= now - self.control.telemetry_seconds:
            at, watts = self._readings.popleft()
            answers[DOMAIN] = MeterAnswer((watts * (1.0 - self.control.under_read),), float(at))
        level = self._state.domains[DOMAIN].level if self._state.domains else 0
        self._state, commands = step(self.tree, self._state, answers, self._events, now_seconds=float(now))
        deepest = self.tree.domains[DOMAIN].ladder.deepest
        reached = self._state.domains[DOMAIN].level
        self.soft_brakes += level <= deepest < reached
        self.capped_seconds += reached > 0
        due = now + self.control.actuation_seconds
        self._due.extend((due, int(command.uuid), command.setting) for command in commands)

    def _lease_over(self, now: int) -> None:
        """The agents act by themselves, at once. The controller commands anew when it is back."""
        if self.control.on_loss is OnLoss.HOLD:
            return
        for place, _, _ in self.tree.places:
            safe = UNCAPPED if self.control.on_loss is OnLoss.UNCAP else self.tree.safe[place.uuid]
            self._due.append((now, int(place.uuid), safe))

    def _hold(self, server: int, setting: GpuSetting) -> None:
        self._settings[server] = setting
        if self._brake_until is None:
            self.row.hold(server, setting)

    def _hold_all(self) -> None:
        for place, _, _ in self.tree.places:
            server = int(place.uuid)
            setting = self._settings.get(server, UNCAPPED)
            self.row.hold(server, setting if self._brake_until is None else BRAKED.deeper(setting))

    def _draw_outages(self) -> list[int]:
        random = np.random.default_rng((self.seed, 1))
        shape = (self.days, self.control.outages_per_day)
        starts = np.arange(self.days)[:, None] * DAY_SECONDS + random.uniform(*_OUTAGE_HOURS, shape) * 3600.0
        return sorted(starts.astype(int).ravel().tolist())
