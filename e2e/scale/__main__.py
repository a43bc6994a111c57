"""`python -m e2e.scale [--services N]`: the operator beside a large fleet, measured; a table of goals and figures.

Exit status: 0 all goals are met, 1 one is missed.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from e2e.scale import phases
from e2e.scale.fleet import FleetShape
from e2e.scale.goals import Figure, table
from e2e.scale.world import World

BUILDING = ("--kube-qps=200", "--kube-burst=400")
"""For the first start alone: at the chart's own 20 writes a second the fleet would take minutes to come up."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.scale", description=__doc__)
    parser.add_argument("--services", type=int, default=500, help="LLMServices; nodes and pods keep the proportion")
    parser.add_argument("--rest-seconds", type=float, default=600, help="how long the settled fleet is watched")
    parser.add_argument(
        "--calm-seconds",
        type=float,
        default=75,
        help="a fleet on which nothing was written for so long is settled: two rounds and a window of calibration",
    )
    parser.add_argument("--events", type=int, default=100, help="children that others change")
    parser.add_argument("--loads", type=int, default=20, help="services that get a new load at once")
    parser.add_argument("--trials", type=int, default=3, help="how often so many services get one")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the logs of all processes here")
    arguments = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    figures: list[Figure] = []
    with World.start(FleetShape(arguments.services), say=_say) as world:
        steps: list[Callable[[], list[Figure]]] = [
            lambda: phases.cold_start(world, *BUILDING, calm_seconds=arguments.calm_seconds),
            lambda: phases.restart(world, calm_seconds=arguments.calm_seconds),
            lambda: phases.rest(world, seconds=arguments.rest_seconds),
            lambda: phases.events(world, samples=arguments.events),
            lambda: phases.loads(world, trials=arguments.trials, services=arguments.loads),
        ]
        try:
            for step in steps:
                found = step()
                figures += found
                _say(table(found))
        finally:
            if arguments.logs is not None:
                world.plane.gather_logs(arguments.logs)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    _say(f"\n{arguments.services} services on {os.cpu_count()} cores, load average {load} at the end\n{table(figures)}")
    return 1 if any(figure.missed for figure in figures) else 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
