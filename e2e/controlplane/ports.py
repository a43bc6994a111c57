"""Free ports on loopback. Another process may still take one before it is listened on; a start is then tried again."""

from __future__ import annotations

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """`count` ports of 127.0.0.1 that nobody listens on, all different."""
    with ExitStack() as held:
        # All are held until the last is chosen, since the kernel may give a closed one out again.
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def free_port() -> int:
    """One port of 127.0.0.1 that nobody listens on."""
    return free_ports(1)[0]
