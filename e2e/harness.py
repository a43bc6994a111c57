"""The whole product on this machine: control plane, chart, Prometheus, fake vLLM fleet, and the operator as itself.

Scenarios and the demo stand on this. It wires what the other modules of `e2e` start, waits with deadlines, and answers
questions from the outside: what kubectl shows, what Prometheus holds, what requests saw, what the audit log says. The
operator runs as a process with the arguments of the chart's Deployment and a token of the chart's ServiceAccount.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from e2e.controlplane import Assets, ControlPlane, free_port, kwok_node, processes
from e2e.controlplane.loopback import answers
from e2e.controlplane.processes import Child
from e2e.prometheus import scrape_config

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
OPERATOR_NAMESPACE = "medley"
OPERATOR_USER = f"system:serviceaccount:{OPERATOR_NAMESPACE}:medley"
RESYNC_SECONDS = 3
FOLLOW_SECONDS = 300
"""For a service to follow a new load. Less is believed after the window of 30 s and two more without a sign of more;
then the old replicas leave step by step, each after its drain: 165 s were seen where the first estimates overshot."""
DRAIN_SECONDS = 90
CROWD_SECONDS = 15
"""In which running requests of the scenarios are answered; those that waited make their neighbours slow until then."""

# Real engines are never what a data sheet says: the fleet's step times are off by these, unknown to the planner.
TRUTH = {"L4": 1.12, "L40S": 1.08, "A100-80": 0.95, "H100": 1.05}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """`count` nodes of one GPU type."""

    gpu: str
    count: int
    gpus_per_node: int


FLEET_NODES = (
    NodeGroup("L4", count=4, gpus_per_node=4),
    NodeGroup("L40S", count=3, gpus_per_node=4),
    NodeGroup("A100-80", count=1, gpus_per_node=8),
    NodeGroup("H100", count=1, gpus_per_node=8),
)


@dataclass(frozen=True, slots=True)
class Load:
    """The load that the generator sends to one service: requests per second and mean sizes in tokens."""

    rate_rps: float
    prompt_tokens: int
    generation_tokens: int


class Harness:
    """Made by `Harness.start`."""

    def __init__(
        self, plane: ControlPlane, say: Callable[[str], None], *, operator_arguments: Sequence[str] = ()
    ) -> None:
        self.plane = plane
        self.say = say
        self._operator_arguments = operator_arguments
        self.prometheus_url = f"http://127.0.0.1:{free_port()}"
        self.operator_url = f"http://127.0.0.1:{free_port()}"
        self.fleet_url = f"http://127.0.0.1:{free_port()}"
        self.load_changes: list[float] = []
        """Unix seconds at which loads were set."""

    @classmethod
    @contextmanager
    def start(
        cls,
        *,
        say: Callable[[str], None],
        assets: Assets | None = None,
        logs_to: Path | None = None,
        operator_arguments: Sequence[str] = (),
    ) -> Iterator[Harness]:
        """Everything up: nodes, Gateway API, chart, Prometheus, fleet, operator. On an error logs go to `logs_to`.
        `operator_arguments`: those of the operator beside the chart's."""
        started = time.monotonic()
        with ControlPlane.start(assets=assets) as plane:
            say(f"control plane up after {time.monotonic() - started:.1f} s ({plane.api_url})")
            harness = cls(plane, say, operator_arguments=operator_arguments)
            try:
                harness._set_up()
                yield harness
            except BaseException:
                if logs_to is not None:
                    plane.gather_logs(logs_to)
                    say(f"logs are in {logs_to}")
                raise

    def _set_up(self) -> None:
        self.plane.apply_gateway_api_crds()
        self.plane.apply_inference_pool_crds()
        self.create_nodes()
        self.install_chart()
        self.start_fleet()
        self.start_prometheus()
        self.start_operator()

    def create_nodes(self) -> None:
        nodes = [kwok_node("system-0", gpus=0)]
        nodes += [
            kwok_node(f"{group.gpu.lower()}-{index}", gpus=group.gpus_per_node, labels={"medley.dev/gpu": group.gpu})
            for group in FLEET_NODES
            for index in range(group.count)
        ]
        for node in nodes:
            self.plane.request("POST", "/api/v1/nodes", node)
        shown = ", ".join(f"{group.count} x {group.gpus_per_node} {group.gpu}" for group in FLEET_NODES)
        self.say(f"nodes: {shown}")

    def install_chart(self, *, resync_seconds: int = RESYNC_SECONDS) -> None:
        started = time.monotonic()
        self.plane.helm(
            "install", "medley", str(ROOT / "helm" / "medley"), "--namespace", OPERATOR_NAMESPACE, "--create-namespace",
            # Never pulled: kwok plays the pods, and the operator runs as a process here.
            "--set", "image.repository=example/medley",
            "--set", f"prometheus.url={self.prometheus_url}", "--set", f"operator.resyncSeconds={resync_seconds}",
            "--wait",
        )  # fmt: skip
        self.say(f"helm install medley: {time.monotonic() - started:.1f} s")

    def start_fleet(self) -> Child:
        port = self.fleet_url.rsplit(":", 1)[1]
        argv = [sys.executable, "-m", "e2e.fleet", "--kubeconfig", str(self.plane.kubeconfig), "--port", port]
        argv += [f"--truth={gpu}={factor}" for gpu, factor in TRUTH.items()]
        child = self.spawn("fleet", argv, {})
        processes.wait_ready(child, lambda: answers(f"{self.fleet_url}/healthz"), timeout_seconds=30)
        self.say(f"fake vLLM fleet and load generator: {self.fleet_url}")
        return child

    def start_prometheus(self, *, at_pods: bool = False) -> None:
        """`at_pods`: engines are scraped at the addresses of their pods, instead of at the fleet."""
        config = scrape_config(
            kubeconfig=self.plane.kubeconfig,
            fleet_address=None if at_pods else self.fleet_url,
            operator_address=self.operator_url,
            scrape_interval="1s",
        )
        self.plane.start_prometheus(config, port=int(self.prometheus_url.rsplit(":", 1)[1]))
        self.say(f"Prometheus: {self.prometheus_url}")

    def start_operator(self, *more: str, timeout_seconds: float = 60) -> Child:
        """The operator with the arguments of the chart's Deployment, and `more`, as the chart's ServiceAccount."""
        deployment = self.get("deployments.apps", OPERATOR_NAMESPACE, "medley")
        arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        # On one machine the pod's port would be everybody's: a free one on loopback instead.
        kept = [argument for argument in arguments if not argument.startswith("--port=")]
        port = self.operator_url.rsplit(":", 1)[1]
        kubeconfig = self.plane.service_account_kubeconfig(OPERATOR_NAMESPACE, "medley")
        argv = [sys.executable, "-m", "medley_operator", *kept, f"--port={port}", "--bind-address=127.0.0.1"]
        argv += [*self._operator_arguments, *more]
        # Nothing is simulated in the background: it would move plans at a moment that no scenario can know.
        environment = {"KUBECONFIG": str(kubeconfig), "MEDLEY_CAPACITY_CACHE_DIR": ""}
        child = self.spawn("operator", argv, environment)
        processes.wait_ready(child, lambda: answers(f"{self.operator_url}/readyz"), timeout_seconds=timeout_seconds)
        self.say(f"operator ready as {OPERATOR_USER}: {self.operator_url}/metrics")
        return child

    def spawn(self, name: str, argv: list[str], environment: Mapping[str, str]) -> Child:
        """A further process of the run, which can import e2e."""
        child = processes.start(
            name, argv, logs=self.plane.logs_dir, environment={**os.environ, "PYTHONPATH": str(ROOT), **environment}
        )
        # After the control plane's own, so that it ends before them.
        self.plane.children.append(child)
        return child

    # --- act ---

    def apply(self, *paths: Path) -> None:
        for path in paths:
            self.plane.kubectl("apply", "-f", str(path))

    def apply_object(self, manifest: Mapping[str, Any]) -> None:
        self.plane.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def set_load(self, namespace: str, name: str, load: Load) -> None:
        body = {
            "rate_rps": load.rate_rps,
            "prompt_tokens_mean": load.prompt_tokens,
            "generation_tokens_mean": load.generation_tokens,
        }
        answer = self.fetch(f"{self.fleet_url}/load/{namespace}/{name}", method="PUT", body=body)
        self.load_changes.append(float(answer["since"]))

    # --- see ---

    def get(self, resource: str, namespace: str, name: str) -> dict[str, Any]:
        scope = ["-n", namespace] if namespace else []
        answer: dict[str, Any] = json.loads(self.plane.kubectl("get", resource, name, *scope, "-o", "json"))
        return answer

    def list_objects(self, resource: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = json.loads(
            self.plane.kubectl("get", resource, "-n", namespace, "-l", selector, "-o", "json")
        )["items"]
        return answer

    def condition(self, resource: str, namespace: str, name: str, kind: str) -> dict[str, Any]:
        """The condition of this type; empty where there is none."""
        conditions = self.get(resource, namespace, name).get("status", {}).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == kind), {})

    def wait_for(self, what: str, look: Callable[[], T | None], *, timeout_seconds: float) -> T:
        """The first answer that is neither None nor False; AssertionError naming `what` when the time is up."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            answer = look()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_seconds:.0f} s: {what}")
            time.sleep(0.5)

    def judge(
        self, namespace: str, name: str, *, seconds: float, finish_seconds: float, ttft_s: float, tpot_s: float
    ) -> dict[str, Any]:
        """The results of the requests of the next `seconds`, after they had `finish_seconds` more to finish."""
        since = time.time()
        time.sleep(seconds + finish_seconds)
        query = urllib.parse.urlencode(
            {
                "since": since,
                "until": since + seconds,
                "service": f"{namespace}/{name}",
                "ttft_s": ttft_s,
                "tpot_s": tpot_s,
            }
        )
        answer: dict[str, Any] = self.fetch(f"{self.fleet_url}/report?{query}")
        return answer

    def wait_for_empty_queues(self, namespace: str, name: str, *, timeout_seconds: float) -> None:
        """Until no request waits: those that came while there was too little capacity are served first."""
        waiting = f'sum(vllm:num_requests_waiting{{namespace="{namespace}",medley_dev_service="{name}"}})'

        def empty() -> bool:
            found = self.query(waiting)
            return bool(found) and float(found[0]["value"][1]) == 0

        self.wait_for(f"{waiting} is 0", empty, timeout_seconds=timeout_seconds)

    def wait_for_uncrowded_engines(self, namespace: str, name: str, *, timeout_seconds: float) -> None:
        """Until what crowded the engines before the capacity came has been answered, and slows nobody."""
        self.wait_for_empty_queues(namespace, name, timeout_seconds=timeout_seconds)
        time.sleep(CROWD_SECONDS)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Result of an instant query of the real Prometheus."""
        address = f"{self.prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        result: list[dict[str, Any]] = self.fetch(address)["data"]["result"]
        return result

    def operator_requests(self, *, since: float) -> list[dict[str, Any]]:
        """Audit events of the operator's own requests."""
        events = self.plane.audit_events(since=since)
        return [event for event in events if event["user"]["username"] == OPERATOR_USER]

    def fetch(self, url: str, *, method: str = "GET", body: Any = None) -> Any:
        request = urllib.request.Request(
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read().decode()
        return json.loads(text) if text else None
