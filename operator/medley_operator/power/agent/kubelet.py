"""Which pods have which GPUs, as the kubelet of the node says it: the List call of its pod-resources API (v1).

The socket is the node's own: no right of the API server is needed, and no other node is asked. The messages are those
parts of the kubelet's `podresources/v1/api.proto` that are read here, by their numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from medley_operator.domain.values.views import GPU_RESOURCES

LIST = "/v1.PodResourcesLister/List"
PATIENCE_SECONDS = 3.0
LOOK_SECONDS = 5.0
KEPT_SECONDS = 60.0
"""What the kubelet said counts for so long when it does not answer, as while it starts anew."""
GPU_DRIVERS = ("gpu.nvidia.com", "gpu.amd.com")
"""Drivers of claims (DRA) that give GPUs. Their devices have names and no UUIDs."""
MIG_RESOURCE = "nvidia.com/mig-"
_REPLICA = "::"
"""Ends the UUID in a device's id where GPUs are shared in time."""

OPTIONS = (
    # By default it would be the path of the socket, which some servers refuse as no name of a host.
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # A kubelet that starts anew is found soon.
    ("grpc.max_reconnect_backoff_ms", 5000),
)

_STRING, _MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
_ONE, _MANY = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL, descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
_MESSAGES: dict[str, tuple[tuple[str, int, int, str], ...]] = {
    "ListPodResourcesRequest": (),
    "ListPodResourcesResponse": (("pod_resources", 1, _MANY, "PodResources"),),
    "PodResources": (("name", 1, _ONE, ""), ("namespace", 2, _ONE, ""), ("containers", 3, _MANY, "ContainerResources")),
    "ContainerResources": (
        ("name", 1, _ONE, ""),
        ("devices", 2, _MANY, "ContainerDevices"),
        ("dynamic_resources", 5, _MANY, "DynamicResource"),
    ),
    "ContainerDevices": (("resource_name", 1, _ONE, ""), ("device_ids", 2, _MANY, "")),
    "DynamicResource": (("claim_name", 2, _ONE, ""), ("claim_resources", 4, _MANY, "ClaimResource")),
    "ClaimResource": (("driver_name", 2, _ONE, ""), ("pool_name", 3, _ONE, ""), ("device_name", 4, _ONE, "")),
}
"""Field name, number, how many, and its message ("": a string), by message."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PodDevices:
    """The GPUs of a pod (namespace/name), by UUID. `vague`: it has more, of which nobody says which GPU they are on."""

    pod: str
    uuids: frozenset[str]
    vague: bool = False


class Lister(Protocol):
    """Who says which pods have GPUs. Raises `grpc.RpcError` where it does not answer."""

    async def pods(self) -> tuple[PodDevices, ...]: ...


def message_class(name: str) -> Any:
    """The class of one of the kubelet's messages."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"v1.{name}"))


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="medley/podresources.proto", package="v1", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, label, inner in fields:
            kind = _MESSAGE if inner else _STRING
            message.field.add(
                name=field, number=number, label=label, type=kind, type_name=f".v1.{inner}" if inner else None
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _pool()


class Kubelet:
    """The kubelet behind a socket. Made within a running event loop; closed by `close`."""

    def __init__(self, socket: Path) -> None:
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=OPTIONS)
        request, response = message_class("ListPodResourcesRequest"), message_class("ListPodResourcesResponse")
        self._request = request()
        self._list = self._channel.unary_unary(
            LIST, request_serializer=request.SerializeToString, response_deserializer=response.FromString
        )

    async def close(self) -> None:
        await self._channel.close()

    async def pods(self) -> tuple[PodDevices, ...]:
        """The pods that have GPUs. Raises `grpc.RpcError`."""
        answer = await self._list(self._request, timeout=PATIENCE_SECONDS)
        found = (_devices_of(pod) for pod in answer.pod_resources)
        return tuple(pod for pod in found if pod.uuids or pod.vague)


def _devices_of(pod: Any) -> PodDevices:
    uuids: set[str] = set()
    vague = False
    for container in pod.containers:
        for devices in container.devices:
            if devices.resource_name.startswith(MIG_RESOURCE):
                vague = True
            elif devices.resource_name in GPU_RESOURCES:
                uuids |= {each.partition(_REPLICA)[0] for each in devices.device_ids}
        claimed = (each for resource in container.dynamic_resources for each in resource.claim_resources)
        vague = vague or any(each.driver_name in GPU_DRIVERS for each in claimed)
    return PodDevices(f"{pod.namespace}/{pod.name}", frozenset(uuids), vague)


class PodsOfGpus:
    """What the kubelet said last. `clock` is monotonic, in seconds."""

    def __init__(self, lister: Lister | None, *, clock: Callable[[], float]) -> None:
        self._lister = lister
        self._clock = clock
        self._said: tuple[PodDevices, ...] | None = None
        self._said_at = 0.0
        self._failing = False

    async def look(self) -> None:
        """Asks once more, where there is a kubelet to ask."""
        if self._lister is None:
            return
        try:
            self._said, self._said_at = await self._lister.pods(), self._clock()
            self._failing = False
        except grpc.RpcError as error:
            if not self._failing:
                log.warning("the kubelet does not say which pods have GPUs", extra={"error": str(error)})
            self._failing = True

    def by_uuid(self, uuids: Iterable[str]) -> dict[str, list[str]]:
        """The pods on each of these GPUs, by name. Without word of the kubelet there are none, on any.

        A pod whose GPU is not known (a partition, a claim, an id that no GPU has) counts on all: it must not look as
        if it were on none.
        """
        known = list(uuids)
        found: dict[str, list[str]] = {uuid: [] for uuid in known}
        if self._said is None or self._clock() - self._said_at > KEPT_SECONDS:
            return found
        for pod in sorted(self._said, key=lambda each: each.pod):
            own = known if pod.vague or not pod.uuids <= found.keys() else pod.uuids
            for uuid in own:
                found[uuid].append(pod.pod)
        return found
