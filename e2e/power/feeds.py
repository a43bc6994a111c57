"""The facility: what racks draw, from the registers of their boards, and meters that say so, or say something else.

A board draws what the fake NVML says that it draws: less at a lower clock, never more than its limit. So a cap that is
in a register is on the meter with the next scrape, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.loopback import served
from tests.nvml.registers import BoardRegisters

METER = "pdu_active_power_watts"
CLOCK_EXPONENT = 1.2
"""As fake_nvml.c has it."""


def board_watts(board: BoardRegisters) -> float:
    """What a board draws now."""
    clock = board.locked_mhz or board.high_mhz
    wanted = board.idle_mw + board.load_permille / 1000 * (board.max_mw - board.idle_mw) * (
        (clock / board.high_mhz) ** CLOCK_EXPONENT
    )
    return float(min(wanted, board.limit_mw)) / 1000


class Feeds:
    """`watts`: what each feed carries now. A fault is of the meter, and not of the feed."""

    def __init__(self, watts: Mapping[str, Callable[[], float]]) -> None:
        self._watts = watts
        self.factors: dict[str, float] = {}
        """What readings are multiplied by: a wrong unit."""
        self.silent: set[str] = set()
        self.doubled: set[str] = set()
        """Feeds whose meter has two series."""

    def watts(self, feed: str) -> float:
        return self._watts[feed]()

    def mend(self) -> None:
        self.factors.clear()
        self.silent.clear()
        self.doubled.clear()

    def exposition(self) -> str:
        lines = [f"# TYPE {METER} gauge"]
        for feed, watts in self._watts.items():
            if feed in self.silent:
                continue
            reading = watts() * self.factors.get(feed, 1.0)
            inlets = ("1", "2") if feed in self.doubled else ("1",)
            lines += [f'{METER}{{feed="{feed}",inlet="{inlet}"}} {reading:.1f}' for inlet in inlets]
        return "\n".join(lines) + "\n"

    @contextmanager
    def served(self) -> Iterator[str]:
        """The meters' exporter on loopback; gives its host and port."""
        with served(lambda _: self.exposition().encode(), content_type="text/plain; version=0.0.4") as port:
            yield f"127.0.0.1:{port}"


def query(feed: str) -> str:
    return f'{METER}{{feed="{feed}"}}'
