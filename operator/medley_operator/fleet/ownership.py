"""Is an object ours to change? Medley never takes over an object that others have made under the same name.

Ours is what the very LLMService controls that it is written for, with or without our labels, and what is its orphan.

Apart: the one rule that guards what others made, whatever is written.
"""

from __future__ import annotations

from medley_operator.domain.cluster.owner import Owner
from medley_operator.domain.values.snapshot import ActuatorView, Manifest, ObjectKey
from medley_operator.kube.client import KubeClient
from medley_operator.kube.errors import NAME_CONFLICT, Conflict


async def check_owned(client: KubeClient, view: ActuatorView, key: ObjectKey, *, owner: Owner) -> str | None:
    """The uid of the object that may be changed, or None where there is none and it may be created.

    Raises `Conflict` with reason NameConflict where the name is taken, and what reading raises.
    """
    found = view.children.get(key)
    if found is None or not owner.controls(found):
        # Unknown, without our label, or once of an LLMService of the same name: what counts is how it is now.
        found = await client.get(key)
    if found is None:
        return None
    if owner.controls(found) or owner.may_adopt(found):
        return str(found["metadata"]["uid"])
    raise Conflict(_message(key, found), reason=NAME_CONFLICT)


def _message(key: ObjectKey, found: Manifest) -> str:
    owners = found.get("metadata", {}).get("ownerReferences") or []
    named = ", ".join(f"{owner.get('kind')} {owner.get('name')} (uid {owner.get('uid')})" for owner in owners)
    return (
        f"{key} exists and does not belong to this LLMService (controller: {named or 'none'}); delete or rename it, "
        "or rename this LLMService"
    )
