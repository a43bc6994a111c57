"""Looks at a cluster of a `FakeKubeClient`, as the fleet loop takes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from medley_operator.fleet.cluster import ClusterCache
from medley_operator.fleet.observe import Observed, Observer
from medley_operator.kube.client import KubeReader


@asynccontextmanager
async def following(reader: KubeReader, *, namespaces: Collection[str] = ()) -> AsyncIterator[ClusterCache]:
    """A cache that has listed what it can."""
    cache = ClusterCache(reader, namespaces=namespaces)
    cache.start()
    try:
        await cache.ready()
        yield cache
    finally:
        await cache.close()


async def look(reader: KubeReader, **parts: Any) -> Observed:
    """One look of an observer with those parts, at 7 s of its clock."""
    async with following(reader) as cache:
        given: dict[str, Any] = {"metrics": None, "clock": lambda: 7.0} | parts
        return await Observer(cluster=cache, **given).observe()
