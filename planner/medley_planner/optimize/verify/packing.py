"""Replicas on nodes, by placing them: largest first, each on the fullest node that has room for it.

Where sizes divide each other this finds a place for all whenever there is one. Counts only, no plan and no problem.
Apart: it shows by construction what the optimiser only counts in rows.
"""

from __future__ import annotations

from collections.abc import Mapping


def left_over(nodes: Mapping[int, int], replicas: Mapping[int, int]) -> dict[int, int]:
    """Number of `replicas` by GPUs per replica that found no place on `nodes` (number of nodes by their GPUs); empty if
    all did."""
    free = dict(nodes)
    missing: dict[int, int] = {}
    for size in sorted(replicas, reverse=True):
        waiting = _place(free, size, replicas[size])
        if waiting:
            missing[size] = waiting
    return missing


def nodes_opened(gpus: int, replicas: Mapping[int, int]) -> int | None:
    """How many nodes of `gpus` GPUs are opened for the replicas; None where one of them is larger than a node.

    A new node is opened only for a replica that none of those before has room for.
    """
    if any(size > gpus and count > 0 for size, count in replicas.items()):
        return None
    free: dict[int, int] = {}
    opened = 0
    for size in sorted(replicas, reverse=True):
        waiting = _place(free, size, replicas[size])
        if waiting:
            new = -(-waiting // (gpus // size))
            opened += new
            free[gpus] = free.get(gpus, 0) + new
            _place(free, size, waiting)
    return opened


def _place(free: dict[int, int], size: int, count: int) -> int:
    """Takes the GPUs from `free` (nodes by free GPUs) and returns how many replicas still wait.

    Equal nodes are filled at once: after a replica its node is the fullest, so the next one goes there too.
    """
    for gpus in sorted(gpus for gpus in free if gpus >= size):
        each = gpus // size
        filled, rest = min(free[gpus], count // each), 0
        if filled < free[gpus]:
            rest = min(count - filled * each, each)
        for nodes, taken in ((filled, each), (1, rest)):
            if nodes and taken:
                free[gpus] -= nodes
                free[gpus - taken * size] = free.get(gpus - taken * size, 0) + nodes
                count -= nodes * taken
        if not count:
            break
    return count
