"""What roles grant, what requests used of it, and what was denied."""

from __future__ import annotations

from typing import Any

from e2e.rights import Right, granted, refused, used


def event(verb: str, code: int = 200, **about: str) -> dict[str, Any]:
    found: dict[str, Any] = {"verb": verb, "requestURI": "/x", "responseStatus": {"code": code}}
    return found | ({"objectRef": about} if about else {})


def test_rules_are_multiplied_out() -> None:
    rule = {"apiGroups": ["apps", ""], "resources": ["things", "things/status"], "verbs": ["get", "patch"]}
    assert granted([{"rules": [rule]}]) == {
        Right(resource, verb)
        for resource in ("things", "things/status", "things.apps", "things.apps/status")
        for verb in ("get", "patch")
    }


def test_an_apply_that_makes_an_object_uses_create_too() -> None:
    changed = event("patch", apiGroup="apps", resource="deployments")
    assert used([changed]) == {Right("deployments.apps", "patch")}
    assert used([changed | {"responseStatus": {"code": 201}}]) == {
        Right("deployments.apps", "patch"),
        Right("deployments.apps", "create"),
    }


def test_a_status_is_a_right_of_its_own_and_addresses_without_a_resource_are_none() -> None:
    status = event("patch", apiGroup="medley.dev", resource="llmservices", subresource="status")
    assert used([status, event("get")]) == {Right("llmservices.medley.dev/status", "patch")}


def test_denied_requests_are_told() -> None:
    assert refused([event("get"), event("list", 403), event("list", 401)]) == ["list /x 403", "list /x 401"]
