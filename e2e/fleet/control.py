"""The fleet's HTTP interface: metrics of the pods, load to set, reports to read. Decides answers, does no I/O itself.

- `GET /metrics/<namespace>/<pod>`: the engine's metrics, 404 where no such engine runs.
- `GET /load`: the load of all services. `PUT /load/<namespace>/<service>`: JSON with the fields of `Workload`; fields
  that are left out keep their value once there is one.
- `GET /report?service=<namespace>/<name>[&since=][&until=][&ttft_s=][&tpot_s=]`: see `judge`; times in Unix seconds.
- `GET /requests/<namespace>/<name>`: arrival (Unix seconds), prompt and generation tokens of each request so far.
- `GET /healthz`: 503 while the cluster cannot be read or an engine could not be stood in for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, fields
from http import HTTPStatus
from typing import Any

from e2e.fleet import exposition
from e2e.fleet.cluster import Key
from e2e.fleet.http import HttpRequest, HttpResponse
from e2e.fleet.judge import Targets
from e2e.fleet.load import Workload
from e2e.fleet.simulation import Fleet

_LOAD_FIELDS = frozenset(entry.name for entry in fields(Workload))


class Control:
    """Handler of the fleet's HTTP server. `view_problem` gives why the cluster cannot be read, "" where it can."""

    def __init__(self, fleet: Fleet, *, clock: Callable[[], float], view_problem: Callable[[], str]) -> None:
        self._fleet = fleet
        self._clock = clock
        self._view_problem = view_problem

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._route(request)
        except ValueError as error:
            return HttpResponse.text(f"{error}\n", HTTPStatus.BAD_REQUEST)

    def _route(self, request: HttpRequest) -> HttpResponse:
        match (request.method, *request.path):
            case ("GET", "metrics", namespace, pod):
                return self._metrics(Key(namespace, pod))
            case ("GET", "load"):
                return HttpResponse.json({str(key): asdict(load) for key, load in self._fleet.loads().items()})
            case ("PUT", "load", namespace, service):
                return self._set_load(Key(namespace, service), request.body)
            case ("GET", "report"):
                return self._report(request)
            case ("GET", "requests", namespace, name):
                return self._requests(Key(namespace, name))
            case ("GET", "healthz"):
                return self._health()
        known = (
            "GET /metrics/<namespace>/<pod>, /load, /report, /requests/<namespace>/<name>, /healthz "
            "or PUT /load/<namespace>/<service>"
        )
        return HttpResponse.text(f"try {known}\n", HTTPStatus.NOT_FOUND)

    def _metrics(self, pod: Key) -> HttpResponse:
        self._fleet.advance(self._clock())
        text = self._fleet.metrics_text(pod)
        if text is None:
            return HttpResponse.text(f"no engine runs for pod {pod}\n", HTTPStatus.NOT_FOUND)
        return HttpResponse(HTTPStatus.OK, exposition.CONTENT_TYPE, text.encode())

    def _set_load(self, service: Key, body: bytes) -> HttpResponse:
        given = json.loads(body)
        if not isinstance(given, dict):
            raise ValueError(f"load of {service}: the body must be a JSON object with fields of {sorted(_LOAD_FIELDS)}")
        unknown = given.keys() - _LOAD_FIELDS
        if unknown:
            raise ValueError(f"load of {service}: unknown fields {sorted(unknown)}; known are {sorted(_LOAD_FIELDS)}")
        wrong = [name for name, value in given.items() if isinstance(value, bool) or not isinstance(value, int | float)]
        if wrong:
            raise ValueError(f"load of {service}: {wrong} must be numbers")
        before = self._fleet.loads().get(service)
        values: dict[str, Any] = {**(asdict(before) if before else {}), **given}
        missing = {"rate_rps", "prompt_tokens_mean", "generation_tokens_mean"} - values.keys()
        if missing:
            raise ValueError(
                f"load of {service}: {sorted(missing)} missing, and there is no load yet to keep them from"
            )
        workload = Workload(**values)
        now = self._clock()
        self._fleet.set_load(service, workload, now=now)
        return HttpResponse.json({"since": now, **asdict(workload)})

    def _requests(self, service: Key) -> HttpResponse:
        now = self._clock()
        self._fleet.advance(now)
        found = self._fleet.requests(service, since=0.0, until=now)
        return HttpResponse.json([[each.arrival, each.prompt_tokens, each.generation_tokens] for each in found])

    def _report(self, request: HttpRequest) -> HttpResponse:
        namespace, _, name = request.query.get("service", "").partition("/")
        if not name:
            raise ValueError("report: name the service as service=<namespace>/<name>")
        now = self._clock()
        self._fleet.advance(now)
        return HttpResponse.json(
            self._fleet.report(
                Key(namespace, name),
                since=_number(request, "since", 0.0),
                until=_number(request, "until", now),
                targets=Targets(
                    ttft_seconds=_number(request, "ttft_s", math.inf), tpot_seconds=_number(request, "tpot_s", math.inf)
                ),
            )
        )

    def _health(self) -> HttpResponse:
        problems = [*self._fleet.problems.values()]
        if self._view_problem():
            problems.append(f"cluster: {self._view_problem()}")
        status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
        return HttpResponse.json({"ok": not problems, "problems": problems}, status)


def _number(request: HttpRequest, name: str, default: float) -> float:
    value = request.query.get(name)
    if value is None:
        return default
    try:
        return float(value)
    except ValueError as error:
        raise ValueError(f"{name}={value!r} is not a number") from error
