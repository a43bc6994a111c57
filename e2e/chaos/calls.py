"""Requests as the proxy sees them: what each asks for, and a record of those that write."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
WATCH = "watch"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `verb` is that of RBAC; `resource` is the plural name, with "/status" where it has one."""

    verb: str
    resource: str
    namespace: str
    name: str
    path: str
    agent: str
    """The client's user agent, which ends in the instance of the operator."""

    @classmethod
    def of(cls, method: str, path: str, *, watch: bool, agent: str) -> Call:
        parts = [part for part in path.split("/") if part]
        # /api/v1/... or /apis/GROUP/VERSION/...
        rest = parts[2:] if parts[:1] == ["api"] else parts[3:]
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        resource, name = (rest[0] if rest else ""), (rest[1] if len(rest) > 1 else "")
        if len(rest) > 2:
            resource = f"{resource}/{rest[2]}"
        reads = WATCH if watch else "get" if name else "list"
        return cls(WRITES.get(method, reads), resource, namespace, name, path, agent)

    @property
    def writes(self) -> bool:
        """Whether it changes what the scenario is about: a Lease that is renewed does not."""
        return self.verb in WRITES.values() and self.resource != "leases"

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.namespace}/{self.name}".rstrip("/ ")


@dataclass(frozen=True, slots=True)
class Write:
    """One write that the operator sent. `status` is what the API server answered, 0 where it never saw the request."""

    call: Call
    digest: str
    status: int
    at: float
    """Unix seconds."""

    @property
    def done(self) -> bool:
        return 200 <= self.status < 300


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12]
