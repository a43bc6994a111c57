"""A row of servers that serve requests: every prompt and every batch as events, and the watts between them exactly.

A server decodes up to four requests at once and runs one prompt at a time, for which its decoding pauses. Requests of a
priority wait in one queue for a free slot of its servers, and go to the first server that has one.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from medley_planner.power.ladder import UNCAPPED, GpuSetting
from medley_planner.power.simulate.requests import SLOTS, RowRequests
from medley_planner.power.simulate.server import pace


class ServerRow:
    """`high_servers` of `servers` serve high priority, the last ones. Time begins at 0 and only moves forward."""

    def __init__(self, requests: RowRequests, *, servers: int, high_servers: int) -> None:
        self._arrivals = requests.arrival_seconds.tolist()
        self._prompts = requests.prompt_seconds.tolist()
        self._decodes = requests.decode_seconds.tolist()
        self._pools = requests.high.astype(int).tolist()
        self._finished = [float("nan")] * len(requests)
        self._next = 0
        self._now = 0.0
        low = servers - high_servers
        self._pool_starts = (0, low)
        self._loads = ([0] * low, [0] * high_servers)
        self._queues: tuple[deque[int], deque[int]] = (deque(), deque())
        self._pool_of = [0] * low + [1] * high_servers
        self._paces = [pace(UNCAPPED)] * servers
        self._touched = [0.0] * servers
        self._prompting = [-1] * servers
        self._prompt_left = [0.0] * servers
        self._waiting: list[deque[int]] = [deque() for _ in range(servers)]
        self._decoded = [0.0] * servers
        self._batches: list[list[tuple[float, int]]] = [[] for _ in range(servers)]
        self._versions = [0] * servers
        self._watts = [pace(UNCAPPED).decode_watts[0]] * servers
        self._row_watts = sum(self._watts)
        self._events: list[tuple[float, int, int]] = []

    def latencies(self, requests: RowRequests) -> NDArray[np.float64]:
        """Seconds from arrival to the last token; of what is not finished, until now."""
        finished = np.array(self._finished)
        return np.where(np.isnan(finished), self._now, finished) - requests.arrival_seconds

    @property
    def busy(self) -> bool:
        """Whether requests are still to be finished."""
        return self._next < len(self._arrivals) or any(map(any, self._loads))

    def hold(self, server: int, setting: GpuSetting) -> None:
        """Holds a server to a setting from now on."""
        self._touch(server, self._now)
        self._paces[server] = pace(setting)
        self._plan(server, self._now)

    def advance(self, until: float) -> float:
        """Serves until then, and returns the mean watts of the row since the last time."""
        started = last = self._now
        joules = 0.0
        events, arrivals, versions = self._events, self._arrivals, self._versions
        count = len(arrivals)
        while True:
            arrival = arrivals[self._next] if self._next < count else float("inf")
            if events and events[0][0] < arrival:
                at, server, version = events[0]
                if at > until:
                    break
                heappop(events)
                if version != versions[server]:
                    continue
                joules += self._row_watts * (at - last)
                last = at
                self._step(server, at)
            else:
                if arrival > until:
                    break
                joules += self._row_watts * (arrival - last)
                last = arrival
                self._arrive(self._next, arrival)
                self._next += 1
        joules += self._row_watts * (until - last)
        self._now = until
        return joules / (until - started)

    def _arrive(self, request: int, now: float) -> None:
        pool = self._pools[request]
        loads = self._loads[pool]
        place = next((place for place, load in enumerate(loads) if load < SLOTS), None)
        if place is None:
            self._queues[pool].append(request)
            return
        loads[place] += 1
        self._take(self._pool_starts[pool] + place, request, now)

    def _take(self, server: int, request: int, now: float) -> None:
        if self._prompting[server] >= 0:
            self._waiting[server].append(request)
            return
        self._touch(server, now)
        self._prompting[server] = request
        self._prompt_left[server] = self._prompts[request]
        self._plan(server, now)

    def _step(self, server: int, now: float) -> None:
        """The end of a prompt phase, or of a request."""
        self._touch(server, now)
        request = self._prompting[server]
        if request >= 0:
            heappush(self._batches[server], (self._decoded[server] + self._decodes[request], request))
            waiting = self._waiting[server]
            self._prompting[server] = waiting.popleft() if waiting else -1
            if self._prompting[server] >= 0:
                self._prompt_left[server] = self._prompts[self._prompting[server]]
            self._plan(server, now)
            return
        _, request = heappop(self._batches[server])
        self._finished[request] = now
        pool = self._pool_of[server]
        queue = self._queues[pool]
        if queue:
            self._prompting[server] = request = queue.popleft()
            self._prompt_left[server] = self._prompts[request]
        else:
            self._loads[pool][server - self._pool_starts[pool]] -= 1
        self._plan(server, now)

    def _touch(self, server: int, now: float) -> None:
        """Counts the work done since the server was last looked at."""
        seconds = now - self._touched[server]
        self._touched[server] = now
        if self._prompting[server] >= 0:
            self._prompt_left[server] -= seconds * self._paces[server].prompt_speed
        else:
            self._decoded[server] += seconds * self._paces[server].decode_speed

    def _plan(self, server: int, now: float) -> None:
        """The server's watts from now on, and its next event."""
        at = self._paces[server]
        version = self._versions[server] = self._versions[server] + 1
        batch = self._batches[server]
        if self._prompting[server] >= 0:
            watts = at.prompt_watts
            left = max(self._prompt_left[server], 0.0) / at.prompt_speed
            heappush(self._events, (now + left, server, version))
        else:
            watts = at.decode_watts[len(batch)]
            if batch:
                left = max(batch[0][0] - self._decoded[server], 0.0) / at.decode_speed
                heappush(self._events, (now + left, server, version))
        self._row_watts += watts - self._watts[server]
        self._watts[server] = watts
