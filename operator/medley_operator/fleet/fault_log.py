"""Reports objects that this program itself failed on: each fault once in the log while it lasts, and in each round in
the counters.

Apart: the loop only says what a round found, and must not grow with how it is reported.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping

from medley_operator.domain.values.conditions import PlanReason
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ObjectFault, ObjectKey, Snapshot
from medley_operator.metrics.exporter import Exporter

log = logging.getLogger(__name__)


class FaultLog:
    """Remembers the faults of the round before."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self._known: Mapping[ObjectKey, str] = {}

    def tell(self, snapshot: Snapshot, faults: Iterable[ObjectFault]) -> None:
        """`faults`: those of one round, of `snapshot`."""
        known: dict[ObjectKey, str] = {}
        for fault in (*faults, *_unread(snapshot)):
            about = fault.about
            known[about] = fault.error
            if about.kind == "LLMService":
                self._exporter.service_failed(ServiceKey(about.namespace, about.name))
            else:
                self._exporter.failed("object")
            if self._known.get(about) != fault.error:
                facts = {"object": str(about), "error": fault.error, "trace": fault.trace}
                log.error("the operator failed on an object and goes on without it", extra=facts)
        self._known = known
        keys = [ServiceKey.of(service) for service in snapshot.services]
        self._exporter.services_are([*keys, *(ServiceKey(key.namespace, key.name) for key in known)])


def _unread(snapshot: Snapshot) -> Iterator[ObjectFault]:
    """Objects whose parsing failed, not because they are invalid; the message has the error."""
    for item in snapshot.rejected:
        if item.refusal.reason == PlanReason.INTERNAL_ERROR:
            yield ObjectFault(about=item.key, error=item.refusal.message, trace="")
