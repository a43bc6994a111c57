"""`make bench-tilt`: CPU time of the joint sizes of a fleet's services, beside plain bisection, in one run.

Histograms as engines export them (log-spaced edges, drawn with a seed), thinned to the bins that are planned with. All
results must be equal to the last bit. "again" is a round in which no histogram has changed.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from medley_planner.workload.marginal import MAX_GENERATION_BINS, MAX_PROMPT_BINS, Bin
from medley_planner.workload.tilt import Tilt, tilted
from tests.perf.report import parser_of, write_json
from tests.reference_tilt import plainly_tilted

TARGET = 2.0
"""Times cheaper than plain bisection."""
Question = tuple[tuple[Bin, ...], tuple[Bin, ...], float]


def drawn(services: int, seed: int) -> list[Question]:
    draw = random.Random(seed)  # noqa: S311 - the same each time, on purpose
    return [
        (
            _bins(draw, MAX_PROMPT_BINS, 30.0, draw.choice((2000.0, 8000.0, 100_000.0))),
            _bins(draw, MAX_GENERATION_BINS, 5.0, draw.choice((300.0, 2000.0, 30_000.0))),
            draw.uniform(0.7, 1.6),
        )
        for _ in range(services)
    ]


def _bins(draw: random.Random, most: int, low: float, high: float) -> tuple[Bin, ...]:
    count = draw.randint(3, most)
    weights = [draw.random() + 0.05 for _ in range(count)]
    sizes = [low * (high / low) ** ((index + draw.random()) / count) for index in range(count)]
    return tuple(Bin(size, weight / sum(weights)) for size, weight in zip(sizes, weights, strict=True))


def timed(way: Callable[..., Tilt], asked: list[Question]) -> tuple[float, list[Tilt]]:
    """CPU seconds of this thread."""
    begins = time.thread_time()
    found = [way(prompt, generation, ratio=ratio) for prompt, generation, ratio in asked]
    return time.thread_time() - begins, found


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--services", type=int, default=500)
    options = parser.parse_args()
    asked = drawn(options.services, seed=7)
    # A first question, so that neither pays for what is loaded at the first use.
    timed(plainly_tilted, asked[:1])
    timed(tilted, drawn(1, seed=8))
    plain, expected = timed(plainly_tilted, asked)
    ours, found = timed(tilted, asked)
    again, _ = timed(tilted, asked)
    equal = found == expected
    table = Table("services", "plain bisection, ms", "ours, ms", "times cheaper", "again, ms", "equal")
    row = (plain * 1e3, ours * 1e3, plain / ours, again * 1e3)
    table.add_row(str(options.services), *(f"{figure:.1f}" for figure in row), "yes" if equal else "NO")
    Console().print(table)
    figures = dict(zip(("plain_ms", "ours_ms", "times_cheaper", "again_ms"), row, strict=True))
    write_json(options.json, {"services": options.services, "equal": equal, "target": TARGET, **figures})
    return 0 if equal and plain / ours >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
