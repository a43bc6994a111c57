"""The rate that a service has settled at: the mean since it last changed for good, and what sets a change apart
from noise.

Pure. A reading differs from the mean by noise, which stays alike from one reading to the next for a while. So what
counts is how much a deviation differs from what is left of the one before (the residual of an autoregression), in
standard deviations of such differences so far. Those that go the same way add up (the cumulative sum test, Page 1954),
less one each; where the sum passes its limit, the rate has changed, and the mean begins anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

MEMORY_SECONDS = 3600.0
"""How far back the mean reaches where nothing changes."""
LIMIT = 5.0
"""Sum of deviations, in standard deviations, that is a change."""
ALLOWANCE = 1.0
"""Each deviation counts by what it has above so many."""
LEAST_SCATTER, FIRST_SCATTER = 0.03, 0.08
"""Standard deviation of a reading's logarithm: never taken as less, and taken at first."""
FIRST_CARRY = 0.4
"""How much of a deviation is taken to be left in the next reading, at first."""
FIRST_READINGS = 6.0
"""Both first figures count as so many readings."""
SCATTER_SECONDS = 4 * 3600.0
MOST_DEVIATION = 3.0
"""In standard deviations: one deviation above says no more than one of so many about how large they are."""
MOST_CARRY = 0.9


@dataclass(frozen=True, slots=True)
class Settled:
    """`readings`: how many the mean has, without the first since a change: a part of its window is from before.

    `variance`, `covariance`: of deviations (of logarithms), and of each with the one before; `known`: how many readings
    they rest on. `deviation`: the last one. `up`, `down`: sums of the test. `changes`: how often the rate has changed.
    """

    mean_rps: float
    readings: float = 1.0
    variance: float = FIRST_SCATTER**2
    covariance: float = FIRST_CARRY * FIRST_SCATTER**2
    known: float = FIRST_READINGS
    deviation: float = 0.0
    up: float = 0.0
    down: float = 0.0
    changes: int = 0

    @property
    def scatter(self) -> float:
        """Standard deviation of a reading's logarithm."""
        return max(math.sqrt(self.variance), LEAST_SCATTER)

    @property
    def fresh(self) -> bool:
        """Whether the rate has changed with the last reading, so that the next one says better what it is now."""
        return self.readings < 1.0

    @property
    def carry(self) -> float:
        """How much of a deviation is left in the next reading."""
        return min(max(self.covariance / self.variance, 0.0), MOST_CARRY) if self.variance > 0.0 else 0.0

    def after(self, seconds: float, rate_rps: float) -> Settled:
        """With a further reading, `seconds` (above 0) after the last one; `rate_rps` is above 0."""
        deviation = math.log(rate_rps / self.mean_rps)
        scatter, carry = self.scatter, self.carry
        news = (deviation - carry * self.deviation) / (scatter * math.sqrt(1.0 - carry * carry))
        up, down = max(self.up + news - ALLOWANCE, 0.0), max(self.down - news - ALLOWANCE, 0.0)
        if max(up, down) > LIMIT:
            return replace(
                self, mean_rps=rate_rps, readings=0.0, deviation=0.0, up=0.0, down=0.0, changes=self.changes + 1
            )
        bounded = min(max(deviation, -MOST_DEVIATION * scatter), MOST_DEVIATION * scatter)
        readings, known = self.readings + 1.0, self.known + 1.0
        share = max(1.0 / readings, 1.0 - math.exp(-seconds / MEMORY_SECONDS))
        weight = max(1.0 / known, 1.0 - math.exp(-seconds / SCATTER_SECONDS))
        return replace(
            self,
            mean_rps=self.mean_rps + share * (rate_rps - self.mean_rps),
            readings=readings,
            variance=self.variance + weight * (bounded**2 - self.variance),
            covariance=self.covariance + weight * (bounded * self.deviation - self.covariance),
            known=known,
            deviation=bounded,
            up=up,
            down=down,
        )
