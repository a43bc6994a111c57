"""Reads the YAML objects that kubectl applies, for commands that work without a cluster.

Reads files, folders and standard input. What the API server would refuse is refused here too, with a message that names
the file, the object, the field, the value and the way out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from medley_operator.api.v1alpha1 import (
    API_VERSION,
    GROUP,
    GPUPool,
    GPUType,
    LLMService,
    MedleyPolicy,
    ModelProfile,
    RuntimeProfile,
)
from medley_operator.api.v1alpha1.power import PowerDomain
from medley_planner.bad_input import MISSING, BadInput, shown
from medley_planner.documents import BadText, can_be_printed, yaml_values
from medley_planner.schema_faults import faults_of

STDIN = "-"
DEFAULT_NAMESPACE = "default"
SUFFIXES = (".yaml", ".yml", ".json")

Model = TypeVar("Model", bound=BaseModel)


class BadManifest(BadInput):
    """Manifests that cannot be used; `where` is the file and the object."""


@dataclass(slots=True)
class Objects:
    """The objects that were read: our kinds, labels of Namespaces, and the names of all other objects."""

    services: list[LLMService] = field(default_factory=list)
    pools: list[GPUPool] = field(default_factory=list)
    profiles: list[RuntimeProfile] = field(default_factory=list)
    model_profiles: list[ModelProfile] = field(default_factory=list)
    policies: list[MedleyPolicy] = field(default_factory=list)
    gpu_types: list[GPUType] = field(default_factory=list)
    power_domains: list[PowerDomain] = field(default_factory=list)
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    """Labels by the name of a Namespace."""
    skipped: list[str] = field(default_factory=list)


def read_objects(sources: Sequence[str]) -> Objects:
    """Raises `BadManifest`."""
    return objects_of(_documents(sources))


def objects_of(documents: Iterable[tuple[str, dict[str, Any]]]) -> Objects:
    """From Kubernetes objects as plain values, each with the name of where it is from. Raises `BadManifest`."""
    objects = Objects()
    seen: dict[str, str] = {}
    for source, document in documents:
        name = _title(source, document)
        if name in seen and document["kind"] in _KINDS:
            raise BadManifest.whole(source, f"{name} is also in {seen[name]}; keep one of them")
        seen[name] = source
        if (document["kind"], document.get("apiVersion")) == ("Namespace", "v1"):
            objects.namespaces[document["metadata"]["name"]] = _labels(document)
            continue
        if document["kind"] not in _KINDS or not str(document.get("apiVersion", "")).startswith(f"{GROUP}/"):
            objects.skipped.append(name)
            continue
        _add(objects, source, name, document)
    return objects


_KINDS: Mapping[str, tuple[type[BaseModel], bool]] = {
    "LLMService": (LLMService, True),
    "GPUPool": (GPUPool, False),
    "RuntimeProfile": (RuntimeProfile, False),
    "ModelProfile": (ModelProfile, False),
    "MedleyPolicy": (MedleyPolicy, False),
    "GPUType": (GPUType, False),
    "PowerDomain": (PowerDomain, False),
}


def _add(objects: Objects, source: str, name: str, document: dict[str, Any]) -> None:
    if document["apiVersion"] != API_VERSION:
        raise BadManifest(f"{source}: {name}", "apiVersion", document["apiVersion"], f"use {API_VERSION}")
    if document["kind"] == "LLMService":
        objects.services.append(_parse(LLMService, source, name, document, namespaced=True))
    elif document["kind"] == "GPUPool":
        objects.pools.append(_parse(GPUPool, source, name, document, namespaced=False))
    elif document["kind"] == "MedleyPolicy":
        objects.policies.append(_parse(MedleyPolicy, source, name, document, namespaced=False))
    elif document["kind"] == "GPUType":
        objects.gpu_types.append(_parse(GPUType, source, name, document, namespaced=False))
    elif document["kind"] == "PowerDomain":
        objects.power_domains.append(_parse(PowerDomain, source, name, document, namespaced=False))
    elif document["kind"] == "ModelProfile":
        objects.model_profiles.append(_parse(ModelProfile, source, name, document, namespaced=False))
    else:
        objects.profiles.append(_parse(RuntimeProfile, source, name, document, namespaced=False))


def _labels(document: dict[str, Any]) -> dict[str, str]:
    labels = document["metadata"].get("labels")
    return {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}


def _parse(model: type[Model], source: str, name: str, document: dict[str, Any], *, namespaced: bool) -> Model:
    metadata = dict(document["metadata"])
    # What the API server would fill in.
    metadata |= {"uid": name, "generation": 1, "deletionTimestamp": None}
    metadata["namespace"] = metadata.get("namespace", DEFAULT_NAMESPACE) if namespaced else ""
    unknown = sorted(set(document) - {"apiVersion", "kind", "metadata", "spec", "status"})
    if unknown:
        way_out = f"{document['kind']} has no such field; put it under spec or remove it"
        raise BadManifest(f"{source}: {name}", unknown[0], document[unknown[0]], way_out)
    try:
        return model.model_validate({"metadata": metadata, "spec": document.get("spec", {})})
    except ValidationError as error:
        first, *others = faults_of(error)
        way_out = "; ".join([first.way_out, *(other.fault for other in others)])
        raise BadManifest(f"{source}: {name}", first.field, first.value, way_out) from error


def _documents(sources: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for source, text in _texts(sources):
        try:
            documents = yaml_values(text)
        except BadText as error:
            raise BadManifest.whole(source, str(error)) from error
        for document in documents:
            yield from _items(source, document)


def _items(source: str, document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if document is None:
        return
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        way_out = "it is not a Kubernetes object; give apiVersion, kind, metadata and spec"
        raise BadManifest(source, "a document", document, way_out)
    if document["kind"] == "List":
        for item in document.get("items") or []:
            yield from _items(source, item)
        return
    yield source, document


def _texts(sources: Sequence[str]) -> Iterator[tuple[str, str]]:
    for source in sources:
        if source == STDIN:
            yield "standard input", _text("standard input", sys.stdin.read)
            continue
        for path in _files(Path(source)):
            yield str(path), _text(str(path), partial(path.read_text, encoding="utf-8-sig"))


def _text(source: str, read: Callable[[], str]) -> str:
    try:
        return read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadManifest.whole(source, f"cannot be read ({reason}); give a YAML file or a folder of them") from error


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise BadManifest.whole(str(path), f"the folder holds no file that ends in {', '.join(SUFFIXES)}")
    return found


def _title(source: str, document: dict[str, Any]) -> str:
    """ "LLMService demo/llama", "GPUPool l4"."""
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        found = MISSING if name is None else name
        raise BadManifest(f"{source}: a {document['kind']}", "metadata.name", found, "give it one")
    namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
    for field_name, text in (("name", name), ("namespace", namespace)):
        if isinstance(text, str) and not can_be_printed(text):
            way_out = "write a name whose characters can all be printed"
            raise BadManifest(f"{source}: a {shown(document['kind'])}", f"metadata.{field_name}", text, way_out)
    kind = document["kind"]
    if kind in _KINDS:
        namespace = (namespace or DEFAULT_NAMESPACE) if _KINDS[kind][1] else None
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
