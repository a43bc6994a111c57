"""Holds the requests of a trace as columns while its file is read, 16 bytes a request, and names what is wrong with one
by its place in the file. Pure.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.cli.trace_forms import ARRIVAL, GENERATION, PROMPT, arrival_unit, has_failed
from medley_planner.cli.trace_times import TimeUnit, time_of
from medley_planner.engine import Trace

MOST_SECONDS = 1e9
"""From first to last arrival: 30 years. Beyond it doubles no longer hold the microseconds of a latency."""


class BadTrace(BadInput):
    """A file that is not a trace; `where` is the file, and the line where one is at fault."""


@dataclass(frozen=True, slots=True)
class TracePart:
    """The part of a trace that is wanted: `from_seconds` to `to_seconds` after its first arrival (None: its end), and
    of these requests a random `share`, drawn by `seed`. `unit`: of numbers as arrivals; None: as the file says."""

    from_seconds: float = 0.0
    to_seconds: float | None = None
    share: float = 1.0
    seed: int = 0
    unit: TimeUnit | None = None


@dataclass(frozen=True, slots=True)
class ReadTrace:
    """`failed`: requests that were left out because they failed."""

    trace: Trace
    failed: int


@dataclass(slots=True)
class Columns:
    """The requests as they are read. `first`: the fields of the first, by which the form is known."""

    path: Path
    first: tuple[str, ...] = ()
    names: tuple[str, str, str] = ("", "", "")
    arrivals: array[float] = field(default_factory=lambda: array("d"))
    prompts: array[int] = field(default_factory=lambda: array("i"))
    generations: array[int] = field(default_factory=lambda: array("i"))
    dated: bool = False
    failed: int = 0

    def begin(self, where: str, fields: Sequence[str]) -> None:
        self.first = tuple(fields)
        arrival, prompt, generation = (
            _name(self.path, where, what, names, fields)
            for what, names in (("arrival", ARRIVAL), ("prompt", PROMPT), ("generation", GENERATION))
        )
        self.names = (arrival, prompt, generation)

    def add(self, where: str, fields: Mapping[str, Any]) -> None:
        """One request by its fields. Raises BadTrace."""
        if not self.first:
            self.begin(where, tuple(fields))
        self.add_values(where, *(fields.get(name) for name in self.names), failed=has_failed(fields))

    def add_values(self, where: str, arrival: Any, prompt: Any, generation: Any, *, failed: bool = False) -> None:
        try:
            time, dated = time_of(arrival)
        except (TypeError, ValueError, OverflowError):
            raise self._bad(where, 0, arrival, "give seconds or a date and time") from None
        if failed or _is_zero(generation):
            self.failed += 1
            return
        tokens = []
        for place, value in ((1, prompt), (2, generation)):
            try:
                tokens.append(_tokens(value))
            except (TypeError, ValueError, OverflowError):
                raise self._bad(where, place, value, "give a whole number of at least 1") from None
        if dated is not self.dated and self.arrivals:
            before = "have a date" if self.dated else "are numbers"
            way_out = f"arrivals before it {before}; give all in seconds or all as date and time"
            raise self._bad(where, 0, arrival, way_out)
        self.dated = dated
        self.arrivals.append(time)
        self.prompts.append(tokens[0])
        self.generations.append(tokens[1])

    def _bad(self, where: str, place: int, value: Any, way_out: str) -> BadTrace:
        found = MISSING if value is None else value
        return BadTrace(f"{self.path} {where}", f"field {self.names[place]}", found, way_out)

    def read(self, part: TracePart) -> ReadTrace:
        if not self.arrivals:
            left = f"all its {self.failed} requests failed" if self.failed else "has no request below its header"
            raise BadTrace.whole(str(self.path), f"{left}; give at least one")
        times = np.frombuffer(self.arrivals, dtype=np.float64)
        if not self.dated:
            unit = part.unit or arrival_unit(self.names[0], self.first, times)
            times = times * unit.seconds
        with np.errstate(over="ignore"):
            times = times - times.min()
        last = int(times.argmax())
        if not times[last] <= MOST_SECONDS:
            way_out = (
                f"it is {times[last]:g} s after the first arrival; give arrivals within {MOST_SECONDS:g} s, all in "
                "seconds or all as date and time"
            )
            raise BadTrace(f"{self.path} request {last}", f"field {self.names[0]}", self.arrivals[last], way_out)
        kept = _kept(times, part)
        prompts, generations = (np.frombuffer(each, dtype=np.intc) for each in (self.prompts, self.generations))
        if kept is not None:
            times, prompts, generations = times[kept], prompts[kept], generations[kept]
            if not times.size:
                raise BadTrace.whole(str(self.path), "has no request in that part; widen --from, --to or --sample")
            times = times - times.min()
        return ReadTrace(Trace.of(times, prompts.astype(np.int64), generations.astype(np.int64)), self.failed)


def _kept(times: Any, part: TracePart) -> Any:
    """Which requests are in the part; None: all."""
    if part == TracePart(unit=part.unit, seed=part.seed):
        return None
    kept = times >= part.from_seconds
    if part.to_seconds is not None:
        kept &= times < part.to_seconds
    if part.share < 1.0:
        kept &= np.random.default_rng(part.seed).random(times.size) < part.share
    return kept


def _name(path: Path, where: str, what: str, names: Sequence[str], fields: Sequence[str]) -> str:
    found = next((name for name in names if name in fields), None)
    if found is None:
        present = ", ".join(map(str, fields)) or "none"
        way_out = (
            f"no field for the {what} of a request (fields: {present}); name one of them {names[0]}; also known: "
            f"{', '.join(names[1:])}"
        )
        raise BadTrace.whole(f"{path} {where}", way_out)
    return found


def _is_zero(value: Any) -> bool:
    return (isinstance(value, int | float) and not isinstance(value, bool) and value == 0) or value in ("0", "0.0")


def _tokens(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(value)
    number = float(value)
    if not (1 <= number < 2**31 and number == int(number)):
        raise ValueError(value)
    return int(number)
