"""GPUs of DRA drivers are stock where pods can ask for them, once, and less what claims hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medley_operator.domain.cluster.devices import class_of, current
from medley_operator.domain.cluster.ledger import stock_ledger
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.domain.values.stock import PoolStock
from medley_operator.domain.values.supply import Device, DeviceClaim, DeviceClassView, DeviceSlice, Supply
from tests.unit.operator import factories as make
from tests.unit.operator.placing import foreign, nodes, with_seen

DRIVER = "gpu.nvidia.com"
CLASS = DeviceClassView("gpu.nvidia.com", "nvidia.com/gpu", DRIVER, "gpu")


def offered(node: str, count: int = 4, **fields: Any) -> DeviceSlice:
    devices = tuple(Device(f"gpu-{index}", kind="gpu", product="NVIDIA L4") for index in range(count))
    return replace(DeviceSlice(DRIVER, node, 1, 1, node, devices), **fields)


def claim(node: str, *devices: str, **fields: Any) -> DeviceClaim:
    return replace(DeviceClaim("lab", "notebook", tuple((DRIVER, node, each) for each in devices)), **fields)


def snapshot(*, plugin: bool = False, pool: dict[str, Any] | None = None, **supply: Any) -> Snapshot:
    """Two nodes, on which a device plugin offers four GPUs each, or nothing does."""
    seen = nodes("l4", 2) if plugin else nodes("l4", 2, allocatable={})
    given = {"slices": (offered("l4-0"), offered("l4-1")), "classes": (CLASS,), **supply}
    found = make.snapshot(pools=[make.pool(nodes=None, **(pool or {}))], nodes=seen)
    return with_seen(replace(found, supply=Supply(**given)))


def stock(given: Snapshot) -> PoolStock:
    return stock_ledger(given).pools["l4"]


def figures(given: Snapshot) -> tuple[int | None, int | None, int | None]:
    found = stock(given)
    return found.stock_gpus, found.free_gpus, found.foreign_gpus


def test_devices_are_stock_of_their_nodes() -> None:
    assert figures(snapshot()) == (8, 8, 0)
    assert stock(snapshot()).node_gpus == (4, 4)


def test_a_node_with_a_device_plugin_and_slices_is_counted_once() -> None:
    assert figures(snapshot(plugin=True, slices=(offered("l4-0", 8), offered("l4-1")))) == (8, 8, 0)


@pytest.mark.parametrize("plugin", [False, True])
@pytest.mark.parametrize("classes", [(CLASS,), ()])
def test_what_claims_hold_is_taken(*, plugin: bool, classes: tuple[DeviceClassView, ...]) -> None:
    given = snapshot(plugin=plugin, classes=classes, claims=(claim("l4-1", "gpu-0", "gpu-2"),))
    counted = plugin or bool(classes)
    assert figures(given) == ((6, 6, 2) if counted else (0, 0, 2))


def test_a_claim_that_the_scheduler_made_for_a_request_is_the_request() -> None:
    given = snapshot(claims=(claim("l4-0", "gpu-0", of_request=True),))
    assert figures(with_seen(given, [foreign("a", "l4-0")])) == (7, 7, 1)


def test_claims_on_other_devices_take_nothing() -> None:
    claims = (
        claim("elsewhere", "gpu-0"),
        claim("l4-0", "gpu-0-mig-1g"),
        DeviceClaim("lab", "nic", (("dra.cni.example", "l4-0", "nic-0"),)),
    )
    assert figures(snapshot(claims=claims)) == (8, 8, 0)


@pytest.mark.parametrize(
    ("device", "counts"),
    [
        (Device("a"), True),
        (Device("a", kind="gpu"), True),
        (Device("a", kind="mig"), False),
        (Device("a", tainted=True), False),
        (Device("a", product="NVIDIA L4"), True),
        (Device("a", product="NVIDIA H100 80GB HBM3"), False),
        (Device("a", product="NVIDIA H100 80GB HBM3", memory_bytes=24e9), False),
        (Device("a", product="of a name that nobody knows"), True),
        (Device("a", product="of a name that nobody knows", memory_bytes=80e9), False),
        (Device("a", memory_bytes=23034 * 2**20), True),
        (Device("a", memory_bytes=16e9), False),
    ],
    ids=str,
)
def test_only_whole_gpus_of_the_pools_type_count(device: Device, *, counts: bool) -> None:
    given = snapshot(slices=(offered("l4-0", devices=(device,)),))
    assert stock(given).stock_gpus == int(counts)


def test_a_driver_that_is_writing_its_devices_has_none() -> None:
    half = offered("l4-0", slices=2)
    assert current([half]) == []
    assert len(current([half, half])) == 2
    old, new = offered("l4-0", 4), offered("l4-0", 3, generation=2)
    for order in ([old, new], [new, old]):
        assert current(order) == [new]


def test_without_a_class_pods_cannot_ask_for_devices() -> None:
    given = snapshot(classes=())
    assert (stock(given).stock_gpus, stock(given).idle_devices) == (0, 8)
    assert stock(snapshot()).idle_devices == 0
    assert stock(snapshot(classes=(), plugin=True)).idle_devices == 0
    unknown = replace(CLASS, driver="")
    assert stock(snapshot(classes=(unknown,))).stock_gpus == 0


def test_the_class_of_a_resource() -> None:
    older, newer = replace(CLASS, name="b", created_at=1.0), replace(CLASS, name="c", created_at=2.0)
    twin = replace(newer, name="a")
    assert class_of("nvidia.com/gpu", Supply(classes=(older, newer, twin))) == twin
    assert class_of("amd.com/gpu", Supply(classes=(CLASS,))) is None
    # Each class has a resource of its own name too.
    name = "deviceclass.resource.kubernetes.io/gpu.nvidia.com"
    unnamed = replace(CLASS, resource="")
    assert class_of(name, Supply(classes=(unnamed,))) == unnamed
    assert figures(snapshot(classes=(unnamed,), pool={"resourceName": name})) == (8, 8, 0)


@pytest.mark.parametrize("kind", ["ResourceClaim", "DeviceClass"])
def test_devices_do_not_count_where_it_is_not_known_what_holds_them(kind: str) -> None:
    given = snapshot()
    assert figures(replace(given, unreadable={kind: "forbidden"})) == (0, 0, 0)
