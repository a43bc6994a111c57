"""The one way to a Kubernetes client: what writes gets it with its fence, gate and limits round it.

Apart: nothing else may make a client (`tests/unit/repo/test_claims.py`), and this is where one reads the order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

from medley_operator.api.v1alpha1 import ActingMode
from medley_operator.kube.client import KubeClient, KubeReader, LeaseClient, PersonClient, StatusClient, WithheldCounter
from medley_operator.kube.credentials import person_kubeconfig
from medley_operator.kube.guards import DryRun, Fenced, Gated, Leadership
from medley_operator.kube.layer import Pulse
from medley_operator.kube.limiter import RateLimited
from medley_operator.kube.official import OfficialKubeClient

AGENT_QPS = 2.0
AGENT_BURST = 10
"""A node agent writes one status, and that on changes alone."""


class ClientSettings(Protocol):
    """The settings of a process that its client goes by; those of the operator, or of the controller of power."""

    @property
    def dry_run(self) -> bool: ...

    @property
    def mode(self) -> ActingMode: ...

    @property
    def kube_qps(self) -> float: ...

    @property
    def kube_burst(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ClientRules:
    """The parts that the decorators ask and report to. `ended` is called after each request."""

    leadership: Leadership
    counter: WithheldCounter
    ended: Callable[[], None]


async def connect(
    settings: ClientSettings, stack: AsyncExitStack, rules: ClientRules, *, instance: str
) -> tuple[KubeReader, KubeClient]:
    """The reader that lists and watches whole kinds, and the client of everything else; closed with the stack."""
    official = await stack.enter_async_context(OfficialKubeClient(instance=instance))
    return official, guarded(official, settings, rules)


def guarded(inner: KubeClient, settings: ClientSettings, rules: ClientRules) -> KubeClient:
    """A write that the mode keeps back takes no token, and the fence is asked after every wait for one."""
    fenced = Fenced(inner, rules.leadership)
    limited = RateLimited(
        Pulse(fenced, ended=rules.ended), qps=settings.kube_qps, burst=settings.kube_burst, clock=time.monotonic
    )
    if settings.dry_run:
        return DryRun(limited, counter=rules.counter)
    if settings.mode.writes_children:
        return limited
    return Gated(limited, mode=settings.mode.value, counter=rules.counter)


async def connect_as_person(stack: AsyncExitStack) -> PersonClient:
    """The client of a command that a person runs, with that person's rights: no operator acts through it."""
    return await stack.enter_async_context(OfficialKubeClient(instance="command", kubeconfig=person_kubeconfig()))


async def connect_for_lease(stack: AsyncExitStack, *, instance: str) -> LeaseClient:
    """The client of leader election alone: its connection is not shared, so that writes that hang never delay it."""
    return await stack.enter_async_context(OfficialKubeClient(instance=instance))


async def connect_agent(stack: AsyncExitStack, *, instance: str) -> tuple[KubeReader, StatusClient]:
    """The reader and the status client of a node agent: there is one for each node, so no Lease and no fence."""
    official = await stack.enter_async_context(OfficialKubeClient(instance=instance))
    return official, RateLimited(official, qps=AGENT_QPS, burst=AGENT_BURST, clock=time.monotonic)
