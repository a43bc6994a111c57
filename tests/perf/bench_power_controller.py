"""The controller of power beside 1,000 nodes on a real API server: memory, CPU, writes at rest, a crossing.

Meters move all the time. Prints figures beside their goals; exit status 1 where one is missed. Nothing plays the agents
but their first status.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from e2e.controlplane import ControlPlane
from e2e.repeated import repeated
from e2e.scale.usage import used
from tests.contract.apiserver import Api
from tests.contract.operator_process import wait_for
from tests.contract.power_world import (
    Meters,
    add_domain,
    add_rack,
    list_caps,
    meters,
    query,
    report,
    running_controller,
)
from tests.perf.power_writes import first_writes

CRDS = Path(__file__).parents[2] / "crds"
RACK_NODES = 25
RACK_BUDGET = 150000
MOST_MEGABYTES = 150.0
MOST_CORES = 0.2
THREADS = 8
CALM, HOT = 0.6, 0.93
"""Parts of the budget."""
SWING, SWING_SECONDS, MOVE_SECONDS = 0.03, 5.0, 0.5
CHANGE_SECONDS = 30.0
PATIENCE_SECONDS = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--rest-seconds", type=float, default=60.0)
    parser.add_argument("--lease-seconds", type=int, default=30)
    options = parser.parse_args(arguments)
    racks = max(options.nodes // RACK_NODES, 1)
    with ControlPlane.start(controllers=False, kwok=False) as plane, meters() as prometheus:
        api = Api(plane)
        api.kubectl("apply", "--server-side", "-f", str(CRDS))
        api.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        api.kubectl("create", "namespace", "medley-system")
        add_domain(api, "row", budget=racks * RACK_BUDGET, query=query("row"))
        nodes = _racks(plane, racks)
        load = MovingLoad(prometheus, racks)
        lease = f"--cap-lease-seconds={options.lease_seconds}"
        with (
            tempfile.TemporaryDirectory() as folder,
            load.running(),
            running_controller(plane.kubeconfig, Path(folder), prometheus.url, lease, "--period-seconds=2") as process,
        ):
            process.wait_ready()
            # To look at all of them is work too.
            wait = partial(wait_for, timeout_seconds=PATIENCE_SECONDS, pause_seconds=5.0)
            wait("caps", lambda: len(list_caps(api, nodes)) == len(nodes))
            _reports(plane, nodes)
            wait("limits by GPU", lambda: all(each.get("gpus") for each in list_caps(api, nodes).values()))
            time.sleep(2 * options.lease_seconds)
            pid = process.process.pid
            since = time.time()
            rest = _cores(pid, options.rest_seconds)
            at_rest = _writes(plane, since)
            load.part = HOT
            crossed = time.time()
            change = _cores(pid, CHANGE_SECONDS)
            on_change, took = _writes(plane, crossed), sorted(first_writes(plane, crossed, nodes))
            megabytes, peak = _megabytes(pid), used(pid).peak_mib
    print(f"{len(nodes)} nodes in {racks + 1} domains, a loop of 2 s, leases of {options.lease_seconds} s")
    print(f"memory {megabytes:.0f} MB, at most {peak:.0f} MB (goal {MOST_MEGABYTES:g})")
    print(f"CPU at rest {rest:.3f} cores (goal {MOST_CORES:g}); while all racks cross {change:.3f} cores")
    print(f"writes in {options.rest_seconds:g} s at rest, while meters move below all entries: {dict(at_rest)}")
    print(f"writes in {CHANGE_SECONDS:g} s after all racks crossed: {dict(on_change)}")
    print(f"nodes written: {len(took)}, p50 {took[len(took) // 2]:.1f} s, last {took[-1]:.1f} s after the meters")
    return int(peak > MOST_MEGABYTES or rest > MOST_CORES)


class MovingLoad:
    """Sets what the meters read, twice a second: each rack swings about `part` of its budget, at a time of its own."""

    def __init__(self, prometheus: Meters, racks: int) -> None:
        self.part = CALM
        self._prometheus, self._racks = prometheus, racks
        self._move()

    def running(self) -> AbstractContextManager[None]:
        return repeated(self._move, every_seconds=MOVE_SECONDS)

    def _move(self) -> None:
        part, now = self.part, time.monotonic()
        watts = [RACK_BUDGET * (part + SWING * math.sin(now / SWING_SECONDS + rack)) for rack in range(self._racks)]
        self._prometheus.watts = {query("row"): math.fsum(watts), **{query(f"r{i}"): w for i, w in enumerate(watts)}}


def _cores(pid: int, seconds: float) -> float:
    """What a process uses in this time from now on."""
    before, since = used(pid).cpu_seconds, time.monotonic()
    time.sleep(seconds)
    return (used(pid).cpu_seconds - before) / (time.monotonic() - since)


def _racks(plane: ControlPlane, racks: int) -> list[str]:
    def make(rack: int) -> list[str]:
        api = Api(plane)
        try:
            return add_rack(api, f"r{rack}", nodes=RACK_NODES, budget=RACK_BUDGET, parent="row")
        finally:
            api.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return [node for names in pool.map(make, range(racks)) for node in names]


def _reports(plane: ControlPlane, nodes: Sequence[str]) -> None:
    def tell(part: Sequence[str]) -> None:
        api = Api(plane)
        for node in part:
            report(api, node)
        api.close()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(tell, [nodes[index::THREADS] for index in range(THREADS)]))


def _megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _writes(plane: ControlPlane, since: float) -> Counter[str]:
    events = plane.audit_events(since=since)
    about = [event["objectRef"] for event in events if event["verb"] in ("patch", "create", "delete")]
    return Counter("/".join(filter(None, (each["resource"], each.get("subresource")))) for each in about)


if __name__ == "__main__":
    sys.exit(main())
