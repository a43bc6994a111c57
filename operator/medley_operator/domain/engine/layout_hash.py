"""What makes a variant what it is, as a short hash: the end of the names of its objects, and a label of its pods.

A Deployment cannot change from one layout to another without taking down replicas that serve. So a layout of its own
has objects of its own names, and the old ones go when the new are Ready (docs/adr/0009). What is not in the hash (the
image, arguments that users add) rolls inside the Deployment. Pure.

Apart: manifests, Services, routes and what is read back of children all name objects by it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable

from medley_operator.api.v1alpha1 import LLMService, RuntimeProfile
from medley_operator.domain.engine.arguments import user_flags
from medley_operator.domain.values.candidates import ServiceCandidate
from medley_planner.variants import kv_format_of

LENGTH = 8


def layout_hash(
    service: LLMService,
    profile: RuntimeProfile,
    *,
    variant: str,
    pool: str,
    gpus_per_replica: int,
    engine_flags: Iterable[tuple[str, str]],
) -> str:
    """Hash of the owner's name, the variant's name and its layout, in characters that a name may hold.

    The owner's name and not its uid: after a restore from a backup the uid is another, and what serves must keep its
    name. Service and variant are in it so that "a" + "b-c" and "a-b" + "c" differ, as do long names that are cut.
    """
    content = {
        "service": service.metadata.name,
        "variant": variant,
        "pool": pool,
        "gpus": gpus_per_replica,
        "flags": dict(engine_flags),
        "kv": str(kv_format_of(profile.spec.engine, user_flags(service, profile))),
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:LENGTH]


def layouts(candidate: ServiceCandidate) -> dict[str, str]:
    """The layout that each variant of the service is to have, by variant name; none where nothing can be rendered."""
    profile = candidate.profile
    if profile is None:
        return {}
    return {
        known.variant.name: layout_hash(
            candidate.service,
            profile,
            variant=known.variant.name,
            pool=known.pool.metadata.name,
            gpus_per_replica=known.variant.gpus_per_replica,
            engine_flags=known.engine_flags,
        )
        for known in candidate.variants
    }
