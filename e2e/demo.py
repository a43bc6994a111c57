"""`make demo`: a plan and a replayed day at once, then the whole product on this machine, step by step.

Everything shown is read back from the API server, from Prometheus or from what requests saw; nothing is staged but the
GPUs, whose pods are run by kwok and whose engines are played by the fake vLLM fleet.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from e2e import first_minute
from e2e.controlplane import ControlPlaneError, ensure_assets
from e2e.harness import DRAIN_SECONDS, EXAMPLES, FOLLOW_SECONDS, Harness, Load
from medley_planner.units import duration_seconds

NAMESPACE, NAME = "demo", "llama"
JUDGED_SECONDS = 12
FINISH_SECONDS = 6


@dataclass(frozen=True, slots=True)
class Act:
    """One change of the traffic."""

    title: str
    load: Load


ACTS = (
    Act("Live traffic instead of the static workload", Load(rate_rps=19, prompt_tokens=500, generation_tokens=150)),
    Act("More than twice the traffic", Load(rate_rps=44, prompt_tokens=500, generation_tokens=150)),
    Act("Fewer requests of three times the length", Load(rate_rps=17, prompt_tokens=1500, generation_tokens=150)),
)
"""Loads for which the cheapest plan of the example's pools is a mix of GPU types, with room around them: planned from
data sheets it saves 5 % from 18 to 21, 4 to 8 % from 36 to 59, and 5 to 22 % from 14 to 22 requests per second. Engines
run at other speeds, which the operator learns meanwhile."""


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one act."""

    title: str
    mix: str
    weights: str
    cost_per_hour: str
    savings_percent: str
    ttft_p95: str
    tpot_p95: str
    share_meeting: str
    seconds: float


class Demo:
    def __init__(self, harness: Harness, console: Console) -> None:
        self.harness = harness
        self.console = console
        service = self._service()
        self.ttft_seconds = duration_seconds(service["spec"]["slo"]["ttft"])
        self.tpot_seconds = duration_seconds(service["spec"]["slo"]["tpot"])
        self.percentile = int(service["spec"]["slo"]["percentile"])

    def run(self) -> list[Row]:
        self._wait("the first plan, from the static workload, is Ready", self._serving, seconds=60)
        self._show("llms,gpool", "-n", NAMESPACE)
        self.console.print(self.harness.plane.kubectl("describe", "llms", NAME, "-n", NAMESPACE), highlight=False)
        rows = [self._play(act) for act in ACTS]
        self._show("llms,gpool", "-n", NAMESPACE)
        self._show("deployments,httproutes", "-n", NAMESPACE)
        return rows

    def _play(self, act: Act) -> Row:
        self.console.rule(
            f"{act.title}: {act.load.rate_rps:g} req/s, {act.load.prompt_tokens} + {act.load.generation_tokens} tokens"
        )
        started = time.monotonic()
        self.harness.set_load(NAMESPACE, NAME, act.load)
        self._wait("the plan follows", lambda: self._planned_for(act.load), seconds=FOLLOW_SECONDS)
        followed = time.monotonic() - started
        with self.console.status("requests that waited for the new capacity are served"):
            self.harness.wait_for_uncrowded_engines(NAMESPACE, NAME, timeout_seconds=DRAIN_SECONDS)
        with self.console.status(f"judging the requests of {JUDGED_SECONDS} s"):
            report = self.harness.judge(
                NAMESPACE,
                NAME,
                seconds=JUDGED_SECONDS,
                finish_seconds=FINISH_SECONDS,
                ttft_s=self.ttft_seconds,
                tpot_s=self.tpot_seconds,
            )
        status = self._service()["status"]
        row = Row(
            title=act.title,
            mix=status["mix"],
            weights=" ".join(f"{v['name']}:{v['weight']}" for v in status["variants"] if v["weight"]),
            cost_per_hour=status["costPerHour"],
            savings_percent=status["plan"].get("savingsPercent", "-"),
            ttft_p95=f"{report['ttft_seconds']['p95'] * 1000:.0f} ms",
            tpot_p95=f"{report['tpot_seconds']['p95'] * 1000:.1f} ms",
            share_meeting=f"{100 * report['met_share']:.1f} %",
            seconds=followed,
        )
        self.console.print(f"mix {row.mix}, weights {row.weights}, ${row.cost_per_hour}/h after {followed:.0f} s; "
                           f"{row.share_meeting} of {report['judged']} requests met both targets")  # fmt: skip
        return row

    def _service(self) -> dict[str, Any]:
        return self.harness.get("llmservices.medley.dev", NAMESPACE, NAME)

    def _condition(self, status: dict[str, Any], kind: str) -> str:
        return next((c["status"] for c in status.get("conditions", []) if c["type"] == kind), "")

    def _serving(self) -> bool:
        status = self._service().get("status", {})
        return self._condition(status, "Ready") == "True" and self._condition(status, "WorkloadsReady") == "True"

    def _planned_for(self, load: Load) -> bool:
        status = self._service()["status"]
        seen = status.get("load", {})
        close = (
            abs(float(seen.get("requestsPerSecond", 0)) - load.rate_rps) <= 0.2 * load.rate_rps
            and abs(seen.get("promptTokens", 0) - load.prompt_tokens) <= 0.25 * load.prompt_tokens
        )
        return seen.get("source") == "Prometheus" and close and self._serving()

    def _wait(self, what: str, look: Callable[[], bool], *, seconds: float) -> None:
        started = time.monotonic()
        with self.console.status(what) as shown:
            while not look():
                passed = time.monotonic() - started
                if passed > seconds:
                    raise TimeoutError(f"not within {seconds:.0f} s: {what}")
                shown.update(f"{what} ({passed:.0f} s)")
                time.sleep(0.5)
        self.console.print(f"{what}: {time.monotonic() - started:.0f} s")

    def _show(self, resources: str, *args: str) -> None:
        self.console.print(f"$ kubectl get {resources} {' '.join(args)}", style="bold")
        self.console.print(self.harness.plane.kubectl("get", resources, *args), highlight=False)


def _summary(rows: list[Row], demo: Demo) -> Table:
    target = f"TTFT {demo.ttft_seconds:g} s, TPOT {demo.tpot_seconds * 1000:g} ms, p{demo.percentile}"
    table = Table(title=f"Summary (target: {target})")
    for heading in (
        "traffic",
        "mix (ready/desired)",
        "weights",
        "$/h",
        "saved %",
        "TTFT p95",
        "TPOT p95",
        "met both",
        "after",
    ):
        table.add_column(heading)
    for row in rows:
        table.add_row(row.title, row.mix, row.weights, row.cost_per_hour, row.savings_percent, row.ttft_p95,
                      row.tpot_p95, row.share_meeting, f"{row.seconds:.0f} s")  # fmt: skip
    return table


def _kept_up(harness: Harness, console: Console) -> None:
    console.print(f"\nKept up; Ctrl-C ends it.\n  export KUBECONFIG={harness.plane.kubeconfig}\n"
                  f"  Prometheus {harness.prometheus_url}\n  operator   {harness.operator_url}/metrics\n"
                  f"  fleet      {harness.fleet_url} (PUT /load/{NAMESPACE}/{NAME})")  # fmt: skip
    while True:
        time.sleep(3600)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything up and print how to reach it")
    keep = parser.parse_args().keep
    # SIGTERM ends it as Ctrl-C does; SIGINT by hand, since background commands of some shells start with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    console = Console(width=160, soft_wrap=True)
    started = time.monotonic()

    def say(message: str) -> None:
        console.print(f"[{time.monotonic() - started:5.0f} s] {message}", markup=False, highlight=False)

    try:
        first_minute.show(console)
        say("the control plane is built")
        assets = ensure_assets()
        with Harness.start(say=say, assets=assets, logs_to=Path("demo-logs")) as harness:
            harness.apply(EXAMPLES / "quickstart" / "namespace.yaml", EXAMPLES / "quickstart")
            say("applied examples/quickstart")
            demo = Demo(harness, console)
            rows = demo.run()
            console.print(_summary(rows, demo))
            say("done")
            if keep:
                _kept_up(harness, console)
    except KeyboardInterrupt:
        return 130
    except (ControlPlaneError, TimeoutError, AssertionError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
