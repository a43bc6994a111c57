"""Who may write, and whether: the fence of leader election, and the gate of the operator's mode.

The fence is the innermost decorator: it is asked again after every wait, right before the request goes out.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from medley_operator.domain.values.labels import PICKER_CONFIG
from medley_operator.kube.client import KubeClient, WithheldCounter
from medley_operator.kube.errors import NotLeader, Withheld
from medley_operator.kube.layer import Layer, Write
from medley_operator.kube.resources import CHILDREN, PODS

LEAST_EXTENSION_SECONDS = 0.05

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class Leadership(Protocol):
    def seconds_left(self) -> float:
        """For how long this process may still write, by a clock that runs on while it is stopped; 0: not at all.

        It ends well before another replica may take over, so that a request under way can still be cut off.
        """


class Unopposed:
    """The leadership of an operator without leader election."""

    def seconds_left(self) -> float:
        return math.inf


class Fenced(Layer):
    """Lets a write out only while this process leads, and cuts it off when it no longer does.

    A process that was stopped, or a server that hangs, must not send or finish late what another replica now decides.
    """

    def __init__(self, inner: KubeClient, leadership: Leadership) -> None:
        super().__init__(inner)
        self._leadership = leadership

    async def _writing(self, write: Write, send: Callable[[], Awaitable[Answer]]) -> Answer:
        left = self._leadership.seconds_left()
        if left <= 0:
            raise NotLeader(f"{write.name} is not written, because this replica does not hold the Lease")
        if math.isinf(left):
            return await send()
        try:
            async with asyncio.timeout(left) as limit:
                extension = _Extension(limit, self._leadership)
                try:
                    return await send()
                finally:
                    extension.cancel()
        except TimeoutError as error:
            message = f"writing {write.name} was cut off, because this replica does not hold the Lease any more"
            raise NotLeader(message) from error


class _Extension:
    """Moves a limit on whenever half of it has passed, as far as the Lease was renewed meanwhile.

    The limit itself is a timer: where the process was stopped, it is due before any answer that came in is acted on.
    """

    def __init__(self, limit: asyncio.Timeout, leadership: Leadership) -> None:
        self._limit = limit
        self._leadership = leadership
        self._loop = asyncio.get_running_loop()
        self._arm(leadership.seconds_left())

    def cancel(self) -> None:
        self._timer.cancel()

    def _arm(self, left: float) -> None:
        self._timer = self._loop.call_later(max(left / 2, LEAST_EXTENSION_SECONDS), self._move)

    def _move(self) -> None:
        left = self._leadership.seconds_left()
        if left > 0 and not self._limit.expired():
            self._limit.reschedule(self._loop.time() + left)
            self._arm(left)


class Gated(Layer):
    """Keeps children and their pods from being written in a mode that only advises; statuses and Events pass, as do
    reads."""

    _KINDS = frozenset(resource.kind for resource in (*CHILDREN, PODS))

    @classmethod
    def _is_child(cls, write: Write) -> bool:
        # The operator's own memory is a ConfigMap too.
        return write.kind in cls._KINDS or write.name.endswith(f"/{PICKER_CONFIG}")

    def __init__(self, inner: KubeClient, *, mode: str, counter: WithheldCounter) -> None:
        super().__init__(inner)
        self._mode = mode
        self._counter = counter
        self._logged: set[Write] = set()

    async def _writing(self, write: Write, send: Callable[[], Awaitable[Answer]]) -> Answer:
        if write.verb not in ("apply", "delete", "annotate") or not self._is_child(write):
            return await send()
        self._counter.withheld(kind=write.kind)
        # Each round asks anew; once is enough for the log.
        level = logging.DEBUG if write in self._logged else logging.INFO
        self._logged.add(write)
        log.log(level, "withheld", extra={"object": write.name, "verb": write.verb, "mode": self._mode})
        raise Withheld(
            f"{write.name} is left as it is, because --mode is {self._mode}; set --mode to Auto to change it"
        )
