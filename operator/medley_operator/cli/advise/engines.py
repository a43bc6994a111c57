"""Engines that run in a cluster, whoever runs them: from raw pods to what each serves and on what. Pure.

A pod counts as an engine where one of its containers runs one. What its command line
does not say is left open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medley_operator.cli.advise.command_line import EngineCommand, engine_command
from medley_operator.domain.values.labels import managed
from medley_operator.domain.values.views import PodView

HASH_LABEL = "pod-template-hash"
PRODUCT = {
    "serving.kserve.io/inferenceservice": "KServe",
    "app.kubernetes.io/part-of=llminferenceservice": "KServe",
    "leaderworkerset.sigs.k8s.io/name": "LeaderWorkerSet",
    "nvidia.com/dynamo-component": "Dynamo",
    "model.aibrix.ai/name": "AIBrix",
    "kaito.sh/workspace": "Kaito",
}
"""Labels (with or without a value) of the pods of products that start engines; prefixes are in `PREFIXES`."""
PREFIXES = {"llm-d.ai/": "llm-d"}
_VERSION = re.compile(r"v?(\d+\.\d+(?:\.\d+)?)")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True, order=True)
class WorkloadRef:
    """The object that keeps a pod: what a person would scale."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class FoundEngine:
    """One pod that runs an engine.

    `model` is as the command line has it, `served_name` what clients ask for. `gpus`: extended resources that it
    holds, by name. `version` "" where the image's tag does not say it. `precision` is the engine's `--quantization`;
    "" is the checkpoint's own. `max_model_len` None: the model's own.
    """

    workload: WorkloadRef
    pod: str
    node: str
    ready: bool
    ours: bool
    manager: str
    image: str
    version: str
    model: str
    served_name: str
    gpus: Mapping[str, int] = field(default_factory=dict)
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    precision: str = ""
    max_model_len: int | None = None

    @property
    def pod_key(self) -> tuple[str, str]:
        return self.workload.namespace, self.pod

    @property
    def gpu_count(self) -> int:
        return sum(self.gpus.values())


def engine_of(pod: Mapping[str, Any], view: PodView | None) -> FoundEngine | None:
    """The engine that a pod runs; None where it runs none, or has ended. `view`: the projection of the same pod."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed") or "deletionTimestamp" in metadata:
        return None
    for container in spec.get("containers") or []:
        command = engine_command(container)
        if command is not None:
            return _engine(pod, view, container, command)
    return None


def _engine(
    pod: Mapping[str, Any], view: PodView | None, container: Mapping[str, Any], command: EngineCommand
) -> FoundEngine:
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    labels = metadata.get("labels") or {}
    image = str(container.get("image") or "")
    flags = command.flags
    return FoundEngine(
        workload=_workload(metadata),
        pod=metadata["name"],
        node=spec.get("nodeName") or "",
        ready=view is not None and view.ready,
        ours=managed(labels),
        manager=manager_of(labels),
        image=image,
        version=_version(image),
        model=command.model,
        served_name=flags.get("--served-model-name") or command.model,
        gpus=view.gpus if view is not None else {},
        tensor_parallel=_count(flags.get("--tensor-parallel-size"), 1),
        pipeline_parallel=_count(flags.get("--pipeline-parallel-size"), 1),
        precision=flags.get("--quantization", ""),
        max_model_len=_length(flags.get("--max-model-len")),
    )


def manager_of(labels: Mapping[str, str]) -> str:
    """The product whose labels a pod carries; "" for none."""
    for label, product in PRODUCT.items():
        name, given, value = label.partition("=")
        if name in labels and (not given or labels[name] == value):
            return product
    for prefix, product in PREFIXES.items():
        if any(label.startswith(prefix) for label in labels):
            return product
    return ""


def _workload(metadata: Mapping[str, Any]) -> WorkloadRef:
    """A ReplicaSet of a Deployment has its name, then the hash that its pods carry."""
    owner = next((each for each in metadata.get("ownerReferences") or [] if each.get("controller")), None)
    if owner is None:
        return WorkloadRef(metadata["namespace"], "Pod", metadata["name"])
    kind, name = owner["kind"], owner["name"]
    ending = f"-{(metadata.get('labels') or {}).get(HASH_LABEL, '')}"
    if kind == "ReplicaSet" and len(ending) > 1 and name.endswith(ending):
        return WorkloadRef(metadata["namespace"], "Deployment", name.removesuffix(ending))
    return WorkloadRef(metadata["namespace"], kind, name)


def _version(image: str) -> str:
    """From the tag; a digest alone says nothing."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = _VERSION.match(tag)
    return found.group(1) if found else ""


def _count(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() and 0 < int(text) <= 1024 else default


_UNITS = {"k": 10**3, "m": 10**6, "K": 2**10, "M": 2**20}


def _length(text: str | None) -> int | None:
    """As the engine reads it: "32768", "32k" (thousands), "32K" (of 1024); None where it is not given or `auto`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmKM]?)", text or "")
    if found is None:
        return None
    length = int(float(found.group(1)) * _UNITS.get(found.group(2), 1))
    return length if length > 0 else None


def is_hub_id(model: str) -> bool:
    """Whether a model's name on the command line is one of a hub (organisation/model) and no path."""
    return _HUB_ID.fullmatch(model) is not None


@dataclass(frozen=True, slots=True)
class FoundService:
    """The engines of one namespace that serve one model: what an LLMService would be."""

    namespace: str
    served_name: str
    model: str
    engines: tuple[FoundEngine, ...]

    @property
    def workloads(self) -> tuple[WorkloadRef, ...]:
        return tuple(sorted({engine.workload for engine in self.engines}))

    @property
    def managers(self) -> tuple[str, ...]:
        return tuple(sorted({engine.manager for engine in self.engines} - {""}))


def services_of(engines: Iterable[FoundEngine]) -> Sequence[FoundService]:
    """Engines grouped by namespace and by the name that clients ask for, in that order."""
    groups: dict[tuple[str, str], list[FoundEngine]] = {}
    for engine in engines:
        groups.setdefault((engine.workload.namespace, engine.served_name), []).append(engine)
    return [
        FoundService(namespace, name, next((each.model for each in found if each.model), ""), tuple(found))
        for (namespace, name), found in sorted(groups.items())
    ]
