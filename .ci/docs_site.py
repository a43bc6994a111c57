"""Hooks of mkdocs: a page of all fields for each kind, made from `crds/`, and links to files outside of `docs/`.

Files of the repository that pages link to, such as examples, are copied into the site, so that a link works there as it
does in the repository.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure import StructureItem
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation, Section
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = re.compile(r"\]\((?P<up>(?:\.\./)+)(?P<path>(?:examples|helm)/[^)#]+\.(?:yaml|json))\)")
LONG_PATTERN = 40
"""Patterns of so many characters are left to the CRD, where nobody needs to read them."""
BOUNDS = {
    ("minimum", "maximum"): "",
    ("minLength", "maxLength"): " characters",
    ("minItems", "maxItems"): " items",
    ("minProperties", "maxProperties"): " entries",
}
"""The keywords of a least and a largest value, and what they count."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds `fields/<kind>.md` for each kind."""
    for crd in sorted((ROOT / "crds").glob("*.yaml")):
        kind, text = fields_page(yaml.safe_load(crd.read_text(encoding="utf-8")))
        files.append(File.generated(config, f"fields/{kind.lower()}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links to examples and the chart into links within the site. mkdocs warns of those that lead nowhere."""

    def inside(link: re.Match[str]) -> str:
        depth, path = page.file.src_uri.count("/"), link["path"]
        if link["up"] != "../" * (depth + 1) or not (ROOT / path).is_file():
            return link[0]
        if files.get_file_from_path(path) is None:
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
        return f"]({'../' * depth}{path})"

    return OUTSIDE.sub(inside, markdown)


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Leaves out sections whose folder has no page yet."""
    nav.items = [item for item in nav.items if _shown(item)]
    return nav


def _shown(item: StructureItem) -> bool:
    if isinstance(item, Section):
        item.children = [child for child in item.children if _shown(child)]
        return bool(item.children)
    return True


def fields_page(crd: dict[str, Any]) -> tuple[str, str]:
    """(kind, Markdown page of all its fields, in the order of the schema)."""
    spec, kind = crd["spec"], crd["spec"]["names"]["kind"]
    schema = spec["versions"][0]["schema"]["openAPIV3Schema"]
    scope = "in a namespace" if spec["scope"] == "Namespaced" else "cluster-scoped"
    facts = f"`{spec['group']}/{spec['versions'][0]['name']}`, {scope}, `kubectl get {spec['names']['shortNames'][0]}`"
    lines = [f"# {kind}: all fields", "", schema["description"], "", facts]
    for part in ("spec", "status"):
        lines += ["", f"## {part}", "", "| field | type | default | meaning |", "|---|---|---|---|"]
        lines += _rows(schema["properties"][part], "")
        at_root = schema.get("x-kubernetes-validations", []) if part == "spec" else []
        rules = [*at_root, *_rules(schema["properties"][part])]
        if rules:
            lines += ["", "Beyond these, the API server refuses an object unless:", ""]
            lines += ["- " + re.sub(r"([\\`*\[\]])", r"\\\1", rule["message"]) for rule in rules]
    return kind, "\n".join([*lines, ""])


def _rows(schema: dict[str, Any], path: str) -> Iterator[str]:
    for name, child in schema.get("properties", {}).items():
        needed = name in schema.get("required", [])
        default = "required" if needed else f"`{json.dumps(child['default'])}`" if "default" in child else ""
        cells = (f"`{path}{name}`", _type(child), default, child.get("description", "").replace("|", "\\|"))
        yield f"| {' | '.join(' '.join(cell.split()) for cell in cells)} |"
        yield from _rows(_nested(child) or {}, f"{path}{name}" + ("[]." if child["type"] == "array" else "."))


def _nested(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema whose fields stand below this one's: its own, or that of its items or values."""
    inner = schema.get("items") or schema.get("additionalProperties") or schema
    return inner if isinstance(inner, dict) and "properties" in inner else None


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    limits = [limit for (low, high), unit in BOUNDS.items() for limit in _range(schema, low, high, unit)]
    if len(schema.get("pattern", "")) in range(1, LONG_PATTERN):
        limits.append(f"`{schema['pattern']}`")
    shown = schema["type"]
    if shown == "array":
        shown = f"list of {_type(schema['items'])}"
    elif isinstance(schema.get("additionalProperties"), dict):
        shown = f"map of {_type(schema['additionalProperties'])}"
    return " ".join([shown, *([f"({', '.join(limits)})"] if limits else [])])


def _range(schema: dict[str, Any], low: str, high: str, unit: str) -> Iterator[str]:
    least = f"{schema[low]}{' (not itself)' if schema.get('exclusiveMinimum') else ''}" if low in schema else ""
    most = f"{schema[high]}{' (not itself)' if schema.get('exclusiveMaximum') else ''}" if high in schema else ""
    if least and most:
        yield f"{least} to {most}{unit}"
    elif least or most:
        yield f"at {'least' if least else 'most'} {least or most}{unit}"


def _rules(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The CEL rules of a schema and of all below it."""
    yield from schema.get("x-kubernetes-validations", [])
    for child in (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(child, dict):
            yield from _rules(child)
