"""Reads what the doctor needs out of objects as the API server returns them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medley_operator.cli.doctor.findings import Json
from medley_operator.domain.values.labels import managed
from medley_operator.domain.values.printable import first_few

MOST_NAMED = 5


def selector_of(pool: Json) -> Mapping[str, str]:
    return (pool.get("spec") or {}).get("nodeSelector") or {}


def price_source_of(pool: Json) -> str:
    """Who says its price; "" where nobody ever did."""
    return str(((pool.get("status") or {}).get("price") or {}).get("source") or "")


def is_operator(pod: Json) -> bool:
    labels = pod["metadata"].get("labels") or {}
    named = labels.get("app.kubernetes.io/name") == "medley" or str(labels.get("helm.sh/chart", "")).startswith(
        "medley-"
    )
    return named and labels.get("app.kubernetes.io/component") == "operator"


def is_engine(pod: Json) -> bool:
    return managed(pod["metadata"].get("labels"))


def gateway_of(service: Json) -> tuple[str, str] | None:
    reference = ((service.get("spec") or {}).get("routing") or {}).get("gatewayRef")
    if not reference:
        return None
    return reference.get("namespace") or service["metadata"]["namespace"], reference["name"]


def conditions_of(manifest: Json) -> Sequence[Json]:
    return (manifest.get("status") or {}).get("conditions") or []


def condition_of(manifest: Json, type_: str) -> str:
    return next((str(each.get("status")) for each in conditions_of(manifest) if each.get("type") == type_), "")


def said_of(manifest: Json, type_: str) -> str:
    found = next((each for each in conditions_of(manifest) if each.get("type") == type_), {})
    return f"{found.get('reason', '')}: {found.get('message', '')}"


def full_name(manifest: Json) -> str:
    return f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"


def edit_command(manifest: Json) -> str:
    return f"kubectl edit {manifest['kind'].lower()} {manifest['metadata']['name']}"


def describe_command(manifest: Json) -> str:
    return f"kubectl describe llms -n {manifest['metadata']['namespace']} {manifest['metadata']['name']}"


def some_nodes(names: Sequence[str]) -> str:
    return f"node {first_few(sorted(names), most=MOST_NAMED)}"
