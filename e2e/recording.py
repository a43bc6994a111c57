"""What a service was planned and given over time, as a watcher of the API server sees it; and its requests meanwhile.

Written down while a scenario runs, so that a replay of the same traffic can be set beside it (`e2e.twin`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from e2e.controlplane.errors import ControlPlaneError
from e2e.harness import Harness
from e2e.repeated import repeated

LOOK_SECONDS = 0.5
VARIANT = "medley.dev/variant"

Fleet = Mapping[str, int]
"""Replicas by variant, of those with any."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A service at one moment. `planned`: what its plan asks for; `asked`: what its Deployments are asked for; `gpus`:
    pool and GPUs of one replica, by variant of its status."""

    at_seconds: float
    planned: Fleet
    asked: Fleet
    gpus: Mapping[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Recording:
    """Times are Unix seconds. `requests`: arrival, prompt and generation tokens of each; `stages`: when the load was
    changed."""

    sights: list[Sight] = field(default_factory=list)
    requests: list[tuple[float, int, int]] = field(default_factory=list)
    stages: list[float] = field(default_factory=list)

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Recording:
        found = json.loads(file.read_text(encoding="utf-8"))
        sights = [
            Sight(**sight | {"gpus": {name: (pool, gpus) for name, (pool, gpus) in sight["gpus"].items()}})
            for sight in found["sights"]
        ]
        return cls(sights, [tuple(each) for each in found["requests"]], found["stages"])


def sight_of(service: Mapping[str, Any], deployments: Sequence[Mapping[str, Any]], at_seconds: float) -> Sight:
    """From the LLMService and its Deployments as they are written."""
    variants = (service.get("status") or {}).get("variants") or []
    asked: dict[str, int] = {}
    for each in deployments:
        variant = each["metadata"]["labels"][VARIANT]
        asked[variant] = asked.get(variant, 0) + int(each["spec"]["replicas"])
    gpus = {v["name"]: (v["pool"], v["gpus"]) for v in variants}
    return Sight(at_seconds, _some({v["name"]: v["desired"] for v in variants}), _some(asked), gpus)


@contextmanager
def recorded(harness: Harness, namespace: str, name: str) -> Iterator[Recording]:
    """Looks at the service all the time, in a thread that ends with the context."""
    recording = Recording()
    with repeated(partial(_look, harness, namespace, name, recording), every_seconds=LOOK_SECONDS):
        yield recording


def _look(harness: Harness, namespace: str, name: str, recording: Recording) -> None:
    service = f"/apis/medley.dev/v1alpha1/namespaces/{namespace}/llmservices/{name}"
    deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments?labelSelector=medley.dev%2Fservice%3D{name}"
    try:
        found = harness.plane.request("GET", service)
        workloads = harness.plane.request("GET", deployments)["items"]
    except (ControlPlaneError, OSError):
        return  # it is not there yet or not any more, or the API server is busy
    recording.sights.append(sight_of(found, workloads, time.time()))


def _some(fleet: Fleet) -> Fleet:
    return {variant: count for variant, count in fleet.items() if count}
