"""How much memory the planning process may take: what the container's limit leaves beside the operator itself.

A kubelet with cgroup v2 ends all processes of a container that exceeds its limit. A solver that eats memory must
therefore meet a cap of its own first, below that limit, or it takes the operator with it.
"""

from __future__ import annotations

from pathlib import Path

MIB = 1024**2
OPERATOR_BYTES = 512 * MIB
"""The operator itself, with what simulates capacities beside it."""
UNLIMITED_BYTES = 4096 * MIB
"""Without any limit: several times what a fleet of 500 services takes, far from a node's memory."""
NO_LIMIT_BYTES = 1 << 60
"""cgroup v1 writes a number near 2^63 where there is no limit."""
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def worker_memory_bytes(setting_mib: int, limit_bytes: int | None) -> int:
    """The cap on the planning process. `setting_mib` 0: from the container's limit; None: there is none."""
    if setting_mib:
        return setting_mib * MIB
    if limit_bytes is None:
        return UNLIMITED_BYTES
    # Where the limit is too small for both, half of it: the plan fails with a reason, and the operator lives.
    return max(limit_bytes - OPERATOR_BYTES, limit_bytes // 2)


def container_limit_bytes(*, cgroups: Path = CGROUPS, own: Path = OWN_CGROUP) -> int | None:
    """The lowest memory limit that binds this process, of either version of cgroups. None: no limit is found."""
    found = [_read(folder / name) for folder, name in _places(cgroups, own)]
    return min((limit for limit in found if limit is not None), default=None)


def _places(cgroups: Path, own: Path) -> list[tuple[Path, str]]:
    """Where a limit may stand: the roots, which in a container are its own group, and the groups above this process."""
    places = [(cgroups, "memory.max"), (cgroups / "memory", "memory.limit_in_bytes")]
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return places
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        root, name = places[0] if not controllers else places[1]
        if controllers and "memory" not in controllers.split(","):
            continue
        group = root / path.strip("/")
        while group != root:
            places.append((group, name))
            group = group.parent
    return places


def _read(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    limit = int(text) if text.isascii() and text.isdigit() else NO_LIMIT_BYTES
    return limit if 0 < limit < NO_LIMIT_BYTES else None
