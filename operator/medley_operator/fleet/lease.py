"""Leader election: asks for the operator's Lease, renews it, gives it back; the thin part that talks to the API server.

Of all replicas one acts. The others look at the Lease every two seconds and answer probes. A replica that cannot renew
stops writing by its own clock, before another may begin, and its process ends: what it knew is not worth keeping.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.fleet.election import Election, LeaseStep
from medley_operator.kube.client import LeaseClient
from medley_operator.kube.errors import Conflict, KubeError, NotFound
from medley_operator.kube.resources import LEASES

RELEASE_SECONDS = 2.0
"""The end of the process does not wait longer for the API server."""
TRIES = 2
"""A Lease that changed since it was seen is looked at, and asked for, once more in the same attempt."""

log = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """This process led and does not any more."""


def boot_seconds() -> float:
    """A clock that runs on while the process is stopped and while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Elector:
    """`acquire`, then `keep` beside the work, then `release`. It is the `Leadership` that the fence asks.

    `on_follow` gets the holder and, where the Lease cannot be read or written, why.
    """

    def __init__(
        self,
        election: Election,
        *,
        client: LeaseClient,
        namespace: str,
        name: str,
        timestamp: Callable[[], str],
        on_follow: Callable[[str, str], None],
        clock: Callable[[], float] = boot_seconds,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._election = election
        self._client = client
        self._namespace = namespace
        self._name = name
        self._timestamp = timestamp
        self._on_follow = on_follow
        self._clock = clock
        self._sleep = sleep
        self._look = True
        self._error = ""

    def seconds_left(self) -> float:
        return self._election.seconds_left(self._clock())

    async def acquire(self) -> None:
        """Returns once this process leads."""
        times = self._election.times
        holder: str | None = None
        while True:
            self._look = True
            await self._attempt(times.renew_deadline_seconds / 2)
            if self.seconds_left() > 0:
                log.info("leading", extra={"identity": self._election.identity, "lease": self._place})
                return
            if not self._error and holder != self._election.holder:
                holder = self._election.holder
                log.info("following", extra={"leader": holder, "lease": self._place})
            self._on_follow(self._election.holder, self._error)
            await self._sleep(times.retry_seconds)

    async def keep(self) -> None:
        """Renews until the Lease is lost. Raises `LeaseLostError`, and nothing else."""
        times = self._election.times
        while (left := self.seconds_left()) > 0:
            await self._sleep(min(times.retry_seconds, left))
            left = self.seconds_left()
            if left > 0:
                await self._attempt(min(times.renew_deadline_seconds / 2, left))
        holder = self._election.holder
        why = self._error or ("it was not renewed in time" if holder == self._election.identity else f"{holder} has it")
        raise LeaseLostError(f"this replica does not hold the Lease {self._place} any more: {why}")

    async def release(self) -> None:
        """Stop leading and let another replica lead at once; nothing where this process does not lead."""
        if self.seconds_left() <= 0:
            return
        given_back = self._election.resign(timestamp=self._timestamp())
        if given_back is None:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._give_back(given_back)
        except (KubeError, TimeoutError) as error:
            log.warning("lease not released; it ends by itself", extra={"lease": self._place, "error": str(error)})
        else:
            log.info("lease released", extra={"lease": self._place})

    async def _give_back(self, lease: Manifest) -> None:
        try:
            await self._client.replace_lease(lease)
        except Conflict:
            # A renewal that was cut off may have arrived all the same.
            found = await self._client.get(self._key)
            if found is None or found.get("spec", {}).get("holderIdentity") != self._election.identity:
                return
            await self._client.replace_lease(lease | {"metadata": found["metadata"]})

    async def _attempt(self, limit_seconds: float) -> None:
        """Take or renew the Lease if that may be done now; whatever goes wrong is tried again later."""
        try:
            async with asyncio.timeout(limit_seconds):
                await self._take_or_renew()
            self._error = ""
        except TimeoutError:
            self._failed(f"the API server did not answer within {limit_seconds:.3g} s", "Unavailable")
        except KubeError as error:
            self._failed(error.message, error.reason)

    async def _take_or_renew(self) -> None:
        for _ in range(TRIES):
            if self._look:
                found = await self._client.get(self._key)
                self._election.saw(found, now=self._clock())
                self._look = False
            step = self._election.next_step(self._clock())
            if step is LeaseStep.WAIT:
                return
            record = self._election.record(namespace=self._namespace, name=self._name, timestamp=self._timestamp())
            write = self._client.create_lease if step is LeaseStep.CREATE else self._client.replace_lease
            asked_at = self._clock()
            # Until the answer is there, it is not known what the Lease is like.
            self._look = True
            try:
                lease = await write(record)
            except (Conflict, NotFound):
                continue
            self._election.wrote(lease, asked_at=asked_at, now=self._clock())
            self._look = False
            return

    def _failed(self, error: str, reason: str) -> None:
        self._error = error
        log.warning("lease not reached", extra={"lease": self._place, "reason": reason, "error": error})

    @property
    def _key(self) -> ObjectKey:
        return ObjectKey(LEASES.kind, self._namespace, self._name)

    @property
    def _place(self) -> str:
        return f"{self._namespace}/{self._name}"
