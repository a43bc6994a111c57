"""Is an object ours to change? Medley never takes over an object that others have made under the same name.

Ours is what carries our managed-by label and is controlled by the very LLMService that it is written for.

Apart: the one rule that guards what others made, whatever is written.
"""

from __future__ import annotations

from medley_operator.domain.values.labels import MANAGED_BY, MANAGED_BY_VALUE, label, owner_uid
from medley_operator.domain.values.snapshot import ActuatorView, Manifest, ObjectKey
from medley_operator.kube.client import KubeClient
from medley_operator.kube.errors import NAME_CONFLICT, Conflict


def is_owned(manifest: Manifest, *, uid: str) -> bool:
    """Does it carry our label, and has its controller this uid?"""
    return label(manifest, MANAGED_BY) == MANAGED_BY_VALUE and bool(uid) and owner_uid(manifest) == uid


async def check_owned(client: KubeClient, view: ActuatorView, key: ObjectKey, *, uid: str) -> str | None:
    """The uid of the object that may be changed, or None where there is none and it may be created.

    Raises `Conflict` with reason NameConflict where the name is taken, and what reading raises.
    """
    found = view.children.get(key)
    if found is None or not is_owned(found, uid=uid):
        # Unknown, or once of an LLMService of the same name: what counts is how it is now.
        found = await client.get(key)
    if found is None:
        return None
    if is_owned(found, uid=uid):
        return str(found["metadata"]["uid"])
    raise Conflict(_message(key, found), reason=NAME_CONFLICT)


def _message(key: ObjectKey, found: Manifest) -> str:
    owners = found.get("metadata", {}).get("ownerReferences") or []
    named = ", ".join(f"{owner.get('kind')} {owner.get('name')} (uid {owner.get('uid')})" for owner in owners)
    return (
        f"{key} exists and does not belong to this LLMService (controller: {named or 'none'}); delete or rename it, "
        "or rename this LLMService"
    )
