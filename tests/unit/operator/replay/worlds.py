"""Small replayed worlds for tests: an 8B model on pools of single GPUs, and the objects around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medley_operator.api.v1alpha1 import GPUPool
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.arrivals import made_up, rate_curve, request_sizes
from medley_operator.replay.faults import WorldFault
from medley_operator.replay.objects import OwnObjects
from medley_operator.replay.scenario import Scenario, with_first_load
from medley_operator.replay.settings import WorldSettings
from tests.unit.operator import factories as make

LLAMA = ServiceKey(make.NAMESPACE, "llama")
ROUTED = {"gatewayRef": {"name": "inference"}}


def pools() -> tuple[GPUPool, ...]:
    return (
        make.pool("l4", gpu="L4", price="0.805", nodes=12, gpus_per_node=4),
        make.pool("h100", gpu="H100", price="6.88", nodes=2, gpus_per_node=8),
    )


def scenario(
    load: str,
    sizes: str = "500x150",
    *,
    own_pools: Sequence[GPUPool] | None = None,
    settings: WorldSettings | None = None,
    names: Sequence[str] = ("llama",),
    seed: int = 0,
    faults: tuple[WorldFault, ...] = (),
    **spec: Any,
) -> Scenario:
    """`spec`: fields of every service, by default routed by a Gateway on windows of a minute."""
    body: Mapping[str, Any] = {
        "workload": {"window": "1m"},
        "scaling": {"minReplicas": 1, "maxReplicas": 32},
        "routing": ROUTED,
        **spec,
    }
    services = tuple(make.service(name, spec=body) for name in names)
    own = OwnObjects(services, tuple(own_pools or pools()), (make.profile(),))
    traces = {
        ServiceKey.of(service): made_up(rate_curve(load), request_sizes(sizes), seed=seed + number)
        for number, service in enumerate(services)
    }
    return with_first_load(Scenario(own, traces, settings or WorldSettings(), faults=faults))
