"""Whose is a child? Medley counts, changes and deletes only what is an LLMService's of the same namespace. Pure.

A uid alone proves nothing: whoever may write a Deployment in another namespace may write any uid into it. An object
that lost its owner (`--cascade=orphan`, a restore from a backup) goes to the LLMService of its name where it is plainly
of Medley's making: our label, our form of name and, of a Deployment, our selector.

Apart: the look at the cluster, the decision and the last check before a write go by this one rule.
"""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.api.v1alpha1 import GROUP, LLMService
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest


@dataclass(frozen=True, slots=True)
class Owner:
    """An LLMService as the owner of children."""

    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, service: LLMService) -> Owner:
        return cls(service.metadata.namespace, service.metadata.name, service.metadata.uid)

    def controls(self, manifest: Manifest) -> bool:
        """Whether the object stands in its namespace and names it as its controller."""
        return self._beside(manifest) and bool(self.uid) and labels.owner_uid(manifest) == self.uid

    def may_adopt(self, manifest: Manifest) -> bool:
        """Whether the object is an orphan of it, or of an LLMService of the same name that there was before."""
        metadata, controller = manifest.get("metadata", {}), labels.controller(manifest)
        return (
            self._beside(manifest)
            and not metadata.get("deletionTimestamp")
            and (controller is None or self._is_namesake(controller))
            and labels.label(manifest, labels.MANAGED_BY) == labels.MANAGED_BY_VALUE
            and labels.label(manifest, labels.SERVICE) == self.name
            and _is_of_our_form(manifest, service=self.name)
        )

    def _beside(self, manifest: Manifest) -> bool:
        return bool(manifest.get("metadata", {}).get("namespace") == self.namespace)

    def _is_namesake(self, reference: Manifest) -> bool:
        """A namespace holds one LLMService of a name, so another uid is one that is gone."""
        named = (reference.get("kind"), reference.get("name"), labels.group_of(reference))
        return named == (labels.OWNER_KIND, self.name, GROUP) and reference.get("uid") != self.uid


def _is_of_our_form(manifest: Manifest, *, service: str) -> bool:
    name = manifest["metadata"]["name"]
    variant, layout = labels.label(manifest, labels.VARIANT), labels.label(manifest, labels.LAYOUT)
    if not variant and manifest.get("kind") != labels.DEPLOYMENT:
        return bool(name == (labels.PICKER_CONFIG if manifest.get("kind") == labels.CONFIG_MAP else service))
    named = labels.variant_object_name(service=service, variant=variant, layout=layout)
    if not (variant and layout and name == named):
        return False
    selector = labels.pod_selector(service=service, variant=variant, layout=layout)
    return manifest.get("kind") != labels.DEPLOYMENT or labels.selected(manifest) == selector


def adopted(manifest: Manifest, observed: Manifest, *, uid: str) -> Manifest:
    """The manifest of a child, for an object that names another controller: there may be one only, so that one steps
    back. The garbage collector takes references to what is gone away."""
    former = [
        {**reference, "controller": False}
        for reference in observed.get("metadata", {}).get("ownerReferences") or []
        if reference.get("controller") and reference.get("uid") != uid
    ]
    if not former:
        return manifest
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "ownerReferences": [*metadata["ownerReferences"], *former]}}
