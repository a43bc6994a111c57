"""Rights beside requests: what the chart's roles grant, and what the audit log shows that they were used for. Pure.

A server-side apply is a `patch` in the audit log whether it changes an object or makes it; where it makes one, the API
server asks for `create` too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CREATED = 201
REFUSED = (401, 403)


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """A verb on a resource, PLURAL.GROUP or PLURAL.GROUP/SUBRESOURCE without a group's dot for the core group."""

    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def granted(roles: Iterable[Mapping[str, Any]]) -> frozenset[Right]:
    """The rights that the rules of these roles give."""
    return frozenset(
        Right(_resource(group, *name.partition("/")[::2]), verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for name in rule["resources"]
        for verb in rule["verbs"]
    )


def used(events: Iterable[Mapping[str, Any]]) -> frozenset[Right]:
    """The rights that requests of the audit log needed."""
    found: set[Right] = set()
    for event in events:
        about = event.get("objectRef")
        if not about or "resource" not in about:
            continue
        resource = _resource(about.get("apiGroup", ""), about["resource"], about.get("subresource", ""))
        found.add(Right(resource, event["verb"]))
        if event["verb"] == "patch" and event["responseStatus"]["code"] == CREATED:
            found.add(Right(resource, "create"))
    return frozenset(found)


def refused(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """The requests of the audit log that the API server denied."""
    return [
        f"{event['verb']} {event['requestURI']} {event['responseStatus']['code']}"
        for event in events
        if event["responseStatus"]["code"] in REFUSED
    ]


def _resource(group: str, plural: str, subresource: str) -> str:
    return (f"{plural}.{group}" if group else plural) + (f"/{subresource}" if subresource else "")
