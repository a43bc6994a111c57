"""Levels of capping: what each level asks of a GPU by the priority of its service, and the presets. Pure values.

The presets' figures are those of POLCA (arXiv 2308.12908: two thresholds, clocks of an A100 with 1410 MHz at most) and
of simulations after it (`docs/power.md`). They give low and high priority; normal priority is half-way between them,
which has not been simulated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from medley_planner.model import Priority

A100_MHZ = 1410.0
BRAKE_CLOCK_FRACTION = 600.0 / A100_MHZ


@dataclass(frozen=True, slots=True)
class GpuSetting:
    """A limit on a GPU: a clock lock as a fraction of its highest clock, and a power cap (None: the board's)."""

    clock_fraction: float = 1.0
    cap_watts: float | None = None

    def deeper(self, other: GpuSetting) -> GpuSetting:
        """The setting that keeps both."""
        caps = [cap for cap in (self.cap_watts, other.cap_watts) if cap is not None]
        return GpuSetting(min(self.clock_fraction, other.clock_fraction), min(caps, default=None))

    def within(self, other: GpuSetting) -> bool:
        """Whether it lets a GPU draw no more than `other` does."""
        return self.deeper(other) == self


UNCAPPED = GpuSetting()


@dataclass(frozen=True, slots=True)
class PowerLevel:
    """A level is entered when the pressure (watts / budget) is above `enter`."""

    enter: float
    low: GpuSetting
    normal: GpuSetting
    high: GpuSetting

    def setting(self, priority: Priority) -> GpuSetting:
        if priority is Priority.LOW:
            return self.low
        return self.high if priority is Priority.HIGH else self.normal


@dataclass(frozen=True)
class Ladder:
    """The levels of a domain, from shallow to deep. Level 0 is uncapped; level n is `levels[n - 1]`.

    `brake` is the software brake, a level beyond the last one and below the facility's own brake, which acts at 1.
    A level is left when the pressure is `relax_gap` below its entry and `dwell_seconds` have passed since the level
    last changed. What a step back releases is spread over `ramp_seconds`, so that load does not come back at once.
    """

    name: str
    levels: tuple[PowerLevel, ...]
    brake: PowerLevel | None = None
    relax_gap: float = 0.05
    dwell_seconds: float = 60.0
    ramp_seconds: float = 30.0

    @cached_property
    def rungs(self) -> tuple[PowerLevel, ...]:
        """All levels, the software brake last."""
        return self.levels if self.brake is None else (*self.levels, self.brake)

    @property
    def deepest(self) -> int:
        """The last level that is not the brake."""
        return len(self.levels)

    @property
    def second_entry(self) -> float:
        """T2: above it, no further level may come in time for a rise that nobody foresaw."""
        return self.levels[min(1, len(self.levels) - 1)].enter

    def setting(self, level: int, priority: Priority) -> GpuSetting:
        """The setting of a level and of those before it: a cap that a deeper level does not repeat stays."""
        return self._settings[priority][level]

    @cached_property
    def _settings(self) -> dict[Priority, tuple[GpuSetting, ...]]:
        """For each priority, the settings of all levels from 0."""
        return {
            priority: tuple(
                accumulate((rung.setting(priority) for rung in self.rungs), GpuSetting.deeper, initial=UNCAPPED)
            )
            for priority in Priority
        }


def level_of_clocks(enter: float, low: float, high: float) -> PowerLevel:
    """A level that locks clocks at fractions of the highest one."""
    return PowerLevel(enter, GpuSetting(low), GpuSetting((low + high) / 2.0), GpuSetting(high))


def _ladder(name: str, rows: Iterable[tuple[float, float, float]]) -> Ladder:
    return Ladder(name, tuple(level_of_clocks(*row) for row in rows), brake=SOFT_BRAKE)


SOFT_BRAKE = level_of_clocks(0.985, BRAKE_CLOCK_FRACTION, BRAKE_CLOCK_FRACTION)

DEFAULT_PRESET = "inband"
PRESETS = {
    ladder.name: ladder
    for ladder in (
        replace(
            _ladder("polca", ((0.80, 0.904, 1.0), (0.89, 0.787, 1.0), (0.89, 0.787, 0.926))),
            brake=None,
            dwell_seconds=0.0,
            ramp_seconds=0.0,
        ),
        _ladder("inband", ((0.84, 0.904, 1.0), (0.91, 0.787, 1.0), (0.91, 0.787, 0.926))),
        _ladder("ladder5", ((0.80, 0.904, 1.0), (0.87, 0.787, 0.926), (0.91, 0.638, 0.851), (0.95, 0.50, 0.787))),
        _ladder("lp-deep", ((0.82, 0.904, 1.0), (0.88, 0.713, 1.0), (0.92, 0.50, 0.926), (0.96, 0.426, 0.787))),
    )
}
"""Presets by name. `polca` is as published: made for a path of 40 s, it has neither dwell, ramp nor software brake."""
