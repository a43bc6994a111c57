"""`python -m e2e.gateway.inside`: the run itself, in the namespace that `python -m e2e.gateway` has made.

Plays the scenario on a real Envoy Gateway and a real Envoy, and prints the outcome. Exit status: 0 all is well, 1 a
breach or no run, 130 interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from e2e.controlplane import ControlPlaneError, ensure_assets
from e2e.gateway.errors import GatewayError
from e2e.gateway.install import ensure_programs
from e2e.gateway.oracle import Played, judge
from e2e.gateway.records import read_arrivals, read_sent
from e2e.gateway.report import table
from e2e.gateway.scenario import SERVICE, STEPS, play
from e2e.gateway.world import World

FINISH_SECONDS = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.gateway", description=__doc__)
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep logs and records of all processes here")
    parser.add_argument("--steps", type=int, default=len(STEPS), metavar="N", help="only the first N steps")
    arguments = parser.parse_args()
    # SIGTERM ends it as Ctrl-C does; SIGINT by hand, since background commands of some shells start with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()

    def say(message: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {message}", flush=True)

    try:
        assets, programs = ensure_assets(), ensure_programs()
        with World.start(say=say, assets=assets, programs=programs, service=SERVICE, logs_to=arguments.logs) as world:
            played: list[Played] = []
            try:
                played.extend(play(world, STEPS[: arguments.steps], say=say))
            finally:
                # The last requests may still be under way.
                time.sleep(FINISH_SECONDS)
                sent, arrivals = read_sent(world.sent), read_arrivals(world.arrivals)
                verdicts = [judge(step, sent, arrivals) for step in played]
                print(table(verdicts), flush=True)
    except KeyboardInterrupt:
        return 130
    except (ControlPlaneError, GatewayError, AssertionError) as error:
        print(f"e2e-gateway: {error}", file=sys.stderr)
        return 1
    return 1 if any(verdict.breaches for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
