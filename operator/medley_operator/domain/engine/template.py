"""When a running variant gets another pod template: when what it is made of changes, and not when Medley does.

A template is a function of service, profile, pool and layout, and of Medley's own code. A new template replaces all
pods of a variant. So a Deployment carries the hash of what its template was made of, and the template as it was
applied. While the hash stays, that template stays, whatever newer code would render; what others changed in it is put
back.

Who may edit Deployments of the namespace may edit the annotations too. So a kept template never runs another image, has
other rights or other volumes than the one that would be rendered now. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from medley_operator.api.v1alpha1 import GROUP, GPUPool, LLMService, RuntimeProfile
from medley_operator.domain.engine.arguments import served_model_name
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.layout import Layout
from medley_planner.variants import Replica

INPUTS = f"{GROUP}/template-inputs"
VERSION = f"{GROUP}/template-version"
APPLIED = f"{GROUP}/applied-template"
PROFILE = f"{GROUP}/profile-inputs"
TEMPLATE_VERSION = "5"
"""The version of what renders templates, for people: it goes up when equal inputs are rendered differently."""

_POD_RIGHTS = (
    *("serviceAccountName", "automountServiceAccountToken", "securityContext", "hostNetwork", "hostPID", "hostIPC"),
    *("hostUsers", "initContainers", "ephemeralContainers", "priorityClassName", "runtimeClassName", "nodeSelector"),
)
_CONTAINER_RIGHTS = ("name", "image", "command", "securityContext", "envFrom")
_TEMPLATE_FIELDS_OF_MODEL = ("uri", "max_model_len", "token_secret_ref", "credentials_secret_ref")
_TEMPLATE_FIELDS_OF_POOL = {"node_selector": True, "tolerations": True, "resource_name": True, "queue": {"name"}}
_OTHER_FIELDS_OF_PROFILE = {"allowed_args", "token_budget", "token_budgets"}


def template_inputs(
    *,
    service: LLMService,
    profile: RuntimeProfile,
    pool: GPUPool,
    variant: str,
    replica: Replica | None,
    engine_flags: Iterable[tuple[str, str]],
) -> str:
    """Hash of all that a user says and a template follows from. Fields at their defaults are left out, so that a field
    that a later version has does not count as a change."""
    spec = service.spec
    said = {
        "service": [service.metadata.namespace, service.metadata.name, variant, served_model_name(service)],
        "model": _said(spec.model, include=set(_TEMPLATE_FIELDS_OF_MODEL)),
        "args": list(spec.runtime.args),
        "drain": _said(spec.drain),
        "profile": _said(profile.spec, exclude=_OTHER_FIELDS_OF_PROFILE),
        "pool": [pool.metadata.name, _said(pool.spec, include=_TEMPLATE_FIELDS_OF_POOL)],
        "runs": [list(flag) for flag in engine_flags] if replica is None else _layout(replica),
    }
    return hashlib.sha256(_json(said).encode()).hexdigest()[:16]


def profile_inputs(profile: RuntimeProfile) -> str:
    """Hash of what a RuntimeProfile says of templates: services that use it roll to a change one after another."""
    said = [profile.metadata.name, _said(profile.spec, exclude=_OTHER_FIELDS_OF_PROFILE)]
    return hashlib.sha256(_json(said).encode()).hexdigest()[:16]


def stamp(template: Manifest, *, inputs: str, profile: str) -> dict[str, str]:
    """Annotations of a Deployment with that template. `inputs`, `profile`: the hashes of what it is made of."""
    return {INPUTS: inputs, VERSION: TEMPLATE_VERSION, APPLIED: _json(template), PROFILE: profile}


def stamps(observed: Manifest) -> dict[str, str]:
    """Those annotations of a Deployment as they are; a controller's own are left to it."""
    return {name: text for name, text in _annotations(observed).items() if name in (INPUTS, VERSION, APPLIED, PROFILE)}


def kept_template(observed: Manifest | None, wanted: Manifest) -> Manifest:
    """`wanted`, with the template that was applied to `observed` where it was made of the same."""
    stamped, stamp_now = _annotations(observed or {}), _annotations(wanted)
    same_inputs = INPUTS in stamp_now and stamped.get(INPUTS) == stamp_now[INPUTS]
    if not same_inputs or stamped.get(APPLIED) == stamp_now[APPLIED]:
        return wanted
    applied = _parsed(stamped.get(APPLIED, ""))
    if applied is None or _rights(applied) != _rights(wanted["spec"]["template"]):
        return wanted
    annotations = {**stamp_now, APPLIED: stamped[APPLIED], VERSION: stamped.get(VERSION, TEMPLATE_VERSION)}
    return {
        **wanted,
        "metadata": {**wanted["metadata"], "annotations": annotations},
        "spec": {**wanted["spec"], "template": applied},
    }


def _layout(replica: Replica) -> list[Any]:
    """The facts that differ from the plainest layout on that GPU: a fact that comes later leaves them as they are."""
    facts = replica.layout.facts
    plain = Layout(replica.layout.gpu).facts
    told = {part.name: facts[part.name] for part in fields(Layout) if facts[part.name] != plain[part.name]}
    return [replica.layout.gpu.name, told, replica.token_budget]


def _rights(template: Manifest) -> Any:
    """The image that it runs, as whom, and what it reaches; None for what is not a pod template."""
    spec = template.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(containers, list):
        return None
    return (
        [spec.get(name) for name in _POD_RIGHTS],
        [[each.get(name) for name in _CONTAINER_RIGHTS] for each in containers if isinstance(each, dict)],
        len(containers),
        _reached(spec.get("volumes")),
    )


def _reached(volumes: Any) -> list[str]:
    """Volumes of what lies outside the pod."""
    if not isinstance(volumes, list):
        return []
    return sorted(_json(volume) for volume in volumes if not isinstance(volume, dict) or "emptyDir" not in volume)


def _annotations(manifest: Manifest) -> dict[str, str]:
    return manifest.get("metadata", {}).get("annotations") or {}


def _parsed(text: str) -> Manifest | None:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _said(model: Any, **which: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True, exclude_defaults=True, **which)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
