"""Additions of one feature to an engine's pod: environment, volumes and mounts, in the order of their rendering. Pure.

Apart: model source, cache and overlay each make one, and the Deployment joins them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from medley_operator.domain.values.snapshot import Manifest


@dataclass(frozen=True, slots=True)
class PodParts:
    """Entries of the container's `env` and `volumeMounts`, and of the pod's `volumes`."""

    env: tuple[Manifest, ...] = ()
    volumes: tuple[Manifest, ...] = ()
    mounts: tuple[Manifest, ...] = ()


def joined(parts: Iterable[PodParts]) -> PodParts:
    """All of them, in their order."""
    every = tuple(parts)
    return PodParts(
        env=tuple(item for part in every for item in part.env),
        volumes=tuple(item for part in every for item in part.volumes),
        mounts=tuple(item for part in every for item in part.mounts),
    )
