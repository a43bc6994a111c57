"""A kubelet's pod-resources socket: a real gRPC server whose answers are encoded here, independently of the agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

SERVICE = "v1.PodResourcesLister"


@dataclass
class FakeKubelet:
    """`devices`: ids by resource name, by pod (namespace, name); `claims`: drivers of claims, by pod."""

    devices: dict[tuple[str, str], Mapping[str, Sequence[str]]] = field(default_factory=dict)
    claims: dict[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    asked: int = 0

    def answer(self) -> bytes:
        pods = self.devices.keys() | self.claims.keys()
        return b"".join(_field(1, self._pod(*pod)) for pod in sorted(pods))

    def _pod(self, namespace: str, name: str) -> bytes:
        container = _field(1, b"main")
        for resource, ids in self.devices.get((namespace, name), {}).items():
            listed = b"".join(_field(2, each.encode()) for each in ids)
            # NUMA nodes are a field that the agent does not read.
            container += _field(2, _field(1, resource.encode()) + listed + _field(3, _field(1, b"\x08\x01")))
        for driver in self.claims.get((namespace, name), ()):
            claimed = _field(2, driver.encode()) + _field(3, b"pool") + _field(4, b"gpu-0")
            container += _field(5, _field(2, b"claim") + _field(3, namespace.encode()) + _field(4, claimed))
        return _field(1, name.encode()) + _field(2, namespace.encode()) + _field(3, container)

    @contextmanager
    def served(self, socket: Path) -> Iterator[None]:
        def listed(_request: bytes, _context: grpc.ServicerContext) -> bytes:
            self.asked += 1
            return self.answer()

        methods = {"List": grpc.unary_unary_rpc_method_handler(listed)}
        server = grpc.server(ThreadPoolExecutor(1))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        try:
            yield
        finally:
            server.stop(grace=None).wait()


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes, as protocol buffers are encoded."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low]) if rest == 0 else bytes([low | 0x80]) + _varint(rest)
