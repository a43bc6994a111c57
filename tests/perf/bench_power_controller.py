"""The controller of power beside 1,000 nodes on a real API server: memory, CPU, writes at rest, a crossing.

Prints figures beside their goals; exit status 1 where one is missed. Nothing plays the agents but their first status.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2e.controlplane import ControlPlane
from e2e.controlplane.audit import unix_seconds
from tests.contract.apiserver import Api
from tests.contract.operator_process import wait_for
from tests.contract.power_world import add_domain, add_rack, list_caps, meters, query, report, running_controller

CRDS = Path(__file__).parents[2] / "crds"
RACK_NODES = 25
RACK_BUDGET = 150000
MOST_MEGABYTES = 150.0
MOST_CORES = 0.2
THREADS = 8


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
        prometheus.watts = {query(f"r{rack}"): 0.6 * RACK_BUDGET for rack in range(racks)}
        prometheus.watts[query("row")] = 0.6 * racks * RACK_BUDGET
        lease = f"--cap-lease-seconds={options.lease_seconds}"
        with (
            tempfile.TemporaryDirectory() as folder,
            running_controller(plane.kubeconfig, Path(folder), prometheus.url, lease, "--period-seconds=2") as process,
        ):
            process.wait_ready()
            wait_for("caps", lambda: len(list_caps(api, nodes)) == len(nodes), timeout_seconds=120)
            _reports(plane, nodes)
            wait_for(
                "limits by GPU",
                lambda: all(each.get("gpus") for each in list_caps(api, nodes).values()),
                timeout_seconds=120,
            )
            time.sleep(2 * options.lease_seconds)
            pid = process.process.pid
            before, since = _cpu_seconds(pid), time.time()
            time.sleep(options.rest_seconds)
            cores = (_cpu_seconds(pid) - before) / (time.time() - since)
            writes = _writes(plane, since)
            megabytes = _megabytes(pid)
            crossed = time.time()
            for rack in range(racks):
                prometheus.watts[query(f"r{rack}")] = 0.95 * RACK_BUDGET
            time.sleep(30.0)
            took = sorted(_first(plane, crossed, nodes))
    print(f"{len(nodes)} nodes in {racks + 1} domains, a loop of 2 s, leases of {options.lease_seconds} s")
    print(f"memory {megabytes:.0f} MB (goal {MOST_MEGABYTES:g}); CPU at rest {cores:.3f} cores (goal {MOST_CORES:g})")
    print(f"writes in {options.rest_seconds:g} s at rest: {dict(writes)}")
    if took:
        print(f"all racks cross: {len(took)} nodes written, p50 {took[len(took) // 2]:.1f} s, last {took[-1]:.1f} s")
    return int(megabytes > MOST_MEGABYTES or cores > MOST_CORES)


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


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _writes(plane: ControlPlane, since: float) -> Counter[str]:
    events = plane.audit_events(since=since)
    about = [event["objectRef"] for event in events if event["verb"] in ("patch", "create", "delete")]
    return Counter("/".join(filter(None, (each["resource"], each.get("subresource")))) for each in about)


def _first(plane: ControlPlane, since: float, nodes: Sequence[str]) -> list[float]:
    """Seconds until the first write of each node. A renewal that was due counts too, which makes some too early."""
    found: dict[str, float] = {}
    for event in plane.audit_events(since=since):
        about = event.get("objectRef", {})
        if event["verb"] == "patch" and about.get("resource") == "nodepowercaps" and not about.get("subresource"):
            found.setdefault(about["name"], unix_seconds(event["stageTimestamp"]) - since)
    return [found[node] for node in nodes if node in found]


if __name__ == "__main__":
    sys.exit(main())
