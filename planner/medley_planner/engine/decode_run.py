"""A run of decode steps in closed form: how long it lasts, what it takes of the KV cache, which step a moment falls in.

Apart: the loop of `replica` is one function, and these are the only sums in it that are not additions. Pure.
"""

from __future__ import annotations

import math


def blocks_taken(count: int, phases: list[int], offset: int, decoding: int) -> int:
    """Blocks that `count` decode steps take, the first of them at `offset` within a block's cycle."""
    cycles, rest = divmod(count, len(phases))
    taken = cycles * decoding
    if rest:
        last = offset + rest
        taken += sum(phases[offset:last])
        if last > len(phases):
            taken += sum(phases[: last - len(phases)])
    return taken


def longest_run(count: int, phases: list[int], offset: int, decoding: int, room: int) -> int:
    """The most decode steps, up to `count`, that take at most `room` blocks. At least 1: that one has been checked."""
    cycles, room = divmod(room, decoding)
    longest = cycles * len(phases)
    while longest < count:
        room -= phases[(offset + longest) % len(phases)]
        if room < 0:
            break
        longest += 1
    return min(longest, count)


def steps_ended(delay: float, step: float, slope: float, count: int) -> int:
    """How many of `count` steps, as in `steps_until`, have ended after `delay` seconds."""
    if delay <= 0.0:
        return 0
    steps = steps_until(delay, step, slope, count)
    return steps - (steps * (step + slope * (0.5 * (steps - 1))) > delay)


def steps_until(delay: float, step: float, slope: float, count: int) -> int:
    """The fewest steps, 1 to `count`, that last at least `delay` seconds if the n-th takes step + (n - 1) * slope."""
    base = step - 0.5 * slope
    steps = math.ceil(2.0 * delay / (base + math.sqrt(base * base + 2.0 * slope * delay)))
    # The root may be off by rounding; the sums decide.
    while steps < count and steps * (step + slope * (0.5 * (steps - 1))) < delay:
        steps += 1
    while steps > 1 and (steps - 1) * (step + slope * (0.5 * (steps - 2))) >= delay:
        steps -= 1
    return max(1, min(steps, count))
