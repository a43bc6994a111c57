"""Looks at our pods in the rounds where one may have become Ready, so that lead times can be measured.

A LIST of all engine pods is large, and most rounds start nothing. What is learnt here is of use and never vital: a list
that fails is logged once and gives no pods.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE
from medley_operator.domain.values.quantities import whole_count
from medley_operator.domain.values.snapshot import Manifest
from medley_operator.kube.client import KubeClient
from medley_operator.kube.errors import KubeError
from medley_operator.kube.resources import PODS

log = logging.getLogger(__name__)


class StartupWatch:
    """Remembers how many replicas of each Deployment were Ready in the round before."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._ready: Mapping[str, int] = {}
        self._told = False

    async def pods(self, deployments: Iterable[Manifest]) -> tuple[Manifest, ...]:
        """The pods of our Deployments where one has more Ready replicas than before (all, in the first round)."""
        ready = {each["metadata"].get("uid", ""): _ready(each) for each in deployments}
        more = any(count > self._ready.get(uid, 0) for uid, count in ready.items())
        if not more:
            self._ready = ready
            return ()
        try:
            pods = await self._client.list(PODS, label_selector=f"{MANAGED_BY}={MANAGED_BY_VALUE}")
        except KubeError as error:
            if not self._told:
                log.warning("lead times are not measured", extra={"reason": error.reason, "error": error.message})
            self._told = True
            return ()
        self._ready, self._told = ready, False
        return tuple(pods)


def _ready(deployment: Manifest) -> int:
    return whole_count((deployment.get("status") or {}).get("readyReplicas")) or 0
