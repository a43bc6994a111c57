"""Reports objects that this program itself failed on: each fault once in the log while it lasts, and in each round or
pass in the counters.

Apart: the loops only say what they found, and must not grow with how it is reported.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ActuatorView, InvalidObject, ObjectFault, ObjectKey
from medley_operator.metrics.exporter import Exporter

log = logging.getLogger(__name__)


class FaultLog:
    """Remembers the faults of the round, or of the pass, before: one for each loop."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self._known: Mapping[ObjectKey, str] = {}

    def report(self, view: ActuatorView, faults: Iterable[ObjectFault]) -> None:
        """`faults`: those of one round or pass, which saw `view`. Of an object the first counts."""
        first: dict[ObjectKey, ObjectFault] = {}
        for fault in faults:
            first.setdefault(fault.about, fault)
        for about, fault in first.items():
            if about.kind == "LLMService":
                self._exporter.service_failed(about.service)
            else:
                self._exporter.failed("object")
            if self._known.get(about) != fault.error:
                facts = {"object": str(about), "error": fault.error, "trace": fault.trace}
                log.error("the operator failed on an object and goes on without it", extra=facts)
        self._known = {about: fault.error for about, fault in first.items()}
        rejected = (each.key.service for each in view.rejected)
        self._exporter.services_are([*(ServiceKey.of(service) for service in view.services), *rejected])


def unread(rejected: Sequence[InvalidObject]) -> Iterator[ObjectFault]:
    """Objects whose parsing failed, not because they are invalid; the message has the error."""
    for item in rejected:
        if item.refusal.reason == PlanReason.INTERNAL_ERROR:
            yield ObjectFault(about=item.key, error=item.refusal.message, trace="")
