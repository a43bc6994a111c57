"""Pods by GPU from a real gRPC server on a socket; what the kubelet does not say counts on every GPU or on none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from medley_operator.power.agent.kubelet import KEPT_SECONDS, Kubelet, PodDevices, PodsOfGpus
from tests.fake_kubelet import FakeKubelet

ONE, TWO = "GPU-1", "GPU-2"
GPU = "nvidia.com/gpu"


@pytest.fixture
def server() -> FakeKubelet:
    return FakeKubelet()


@pytest_asyncio.fixture
async def kubelet(server: FakeKubelet, tmp_path: Path) -> AsyncIterator[Kubelet]:
    with server.served(tmp_path / "kubelet.sock"):
        client = Kubelet(tmp_path / "kubelet.sock")
        yield client
        await client.close()


async def test_pods_with_gpus_and_no_others(server: FakeKubelet, kubelet: Kubelet) -> None:
    server.devices = {
        ("team", "chat-0"): {GPU: [ONE, TWO], "rdma/hca": ["mlx5_0"]},
        ("team", "shared"): {GPU: [f"{ONE}::3"]},
        ("kube-system", "dns"): {"smarter-devices/fuse": ["fuse-0"]},
        ("x" * 63, "y" * 253): {GPU: ["GPU-" + "0" * 200]},
    }
    found = {each.pod: each for each in await kubelet.pods()}
    assert found["team/chat-0"] == PodDevices("team/chat-0", frozenset({ONE, TWO}))
    assert found["team/shared"].uuids == {ONE}
    assert "kube-system/dns" not in found
    assert len(found) == 3


async def test_partitions_and_claims_are_vague(server: FakeKubelet, kubelet: Kubelet) -> None:
    server.devices = {("team", "part"): {"nvidia.com/mig-1g.10gb": ["MIG-5"]}}
    server.claims = {("team", "claim"): ["gpu.nvidia.com"], ("team", "net"): ["dra.net"]}
    assert await kubelet.pods() == (
        PodDevices("team/claim", frozenset(), vague=True),
        PodDevices("team/part", frozenset(), vague=True),
    )


async def test_no_pod_has_a_gpu(kubelet: Kubelet) -> None:
    assert await kubelet.pods() == ()


class Said:
    """Says what a test gives, or fails."""

    def __init__(self, *pods: PodDevices) -> None:
        self.answer: tuple[PodDevices, ...] | None = pods

    async def pods(self) -> tuple[PodDevices, ...]:
        if self.answer is None:
            raise grpc.RpcError("unavailable")
        return self.answer


async def test_each_gpu_has_its_pods_and_what_is_vague_is_on_all() -> None:
    chat, batch = PodDevices("team/chat", frozenset({ONE})), PodDevices("team/batch", frozenset({ONE, TWO}))
    said = Said(chat, batch)
    pods = PodsOfGpus(said, clock=lambda: 0.0)
    assert pods.by_uuid([ONE, TWO]) == {ONE: [], TWO: []}, "nothing was said yet"
    await pods.look()
    assert pods.by_uuid([ONE, TWO]) == {ONE: ["team/batch", "team/chat"], TWO: ["team/batch"]}
    said.answer = (chat, PodDevices("team/mig", frozenset(), vague=True), PodDevices("team/amd", frozenset({"0"})))
    await pods.look()
    assert pods.by_uuid([ONE, TWO]) == {ONE: ["team/amd", "team/chat", "team/mig"], TWO: ["team/amd", "team/mig"]}


async def test_a_kubelet_that_is_silent_is_believed_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    said = Said(PodDevices("team/chat", frozenset({ONE})))
    pods = PodsOfGpus(said, clock=lambda: now[0])
    await pods.look()
    said.answer = None
    now[0] = KEPT_SECONDS
    await pods.look()
    await pods.look()
    assert pods.by_uuid([ONE]) == {ONE: ["team/chat"]}
    now[0] += 1.0
    assert pods.by_uuid([ONE]) == {ONE: []}
    assert len(caplog.records) == 1, "told once"


async def test_a_socket_that_is_not_there_is_no_end(tmp_path: Path) -> None:
    kubelet = Kubelet(tmp_path / "none.sock")
    pods = PodsOfGpus(kubelet, clock=lambda: 0.0)
    await pods.look()
    assert pods.by_uuid([ONE]) == {ONE: []}
    await kubelet.close()


async def test_without_a_kubelet_nothing_is_asked() -> None:
    pods = PodsOfGpus(None, clock=lambda: 0.0)
    await pods.look()
    assert pods.by_uuid([ONE]) == {ONE: []}
