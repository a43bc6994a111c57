"""What the docs site shows: all fields of all kinds, all pages, and Markdown that its builder reads as GitHub does."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
KINDS = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "crds").glob("*.yaml"))]
ITEM = re.compile(r"\s*([-*]|\d+\.) ")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        config = load_config(str(ROOT / ".ci" / "mkdocs.yml"), site_dir=str(folder), strict=True)
        build(config)
    return folder


def fields(schema: dict[str, Any], path: str) -> list[str]:
    found: list[str] = []
    for name, child in schema.get("properties", {}).items():
        inner = child.get("items") or child.get("additionalProperties") or child
        below = f"{path}{name}" + ("[]." if child["type"] == "array" else ".")
        found += [f"{path}{name}", *(fields(inner, below) if isinstance(inner, dict) else [])]
    return found


@pytest.mark.parametrize("crd", KINDS, ids=lambda crd: crd["spec"]["names"]["kind"])
def test_every_field_is_shown(site: Path, crd: dict[str, Any]) -> None:
    page = (site / "fields" / f"{crd['spec']['names']['singular']}.html").read_text(encoding="utf-8")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    wanted = [field for part in ("spec", "status") for field in fields(schema[part], "")]
    assert len(wanted) > 5
    assert [field for field in wanted if f"<code>{field}</code>" not in page] == []


def test_every_page_is_in_the_navigation(site: Path) -> None:
    front = (site / "index.html").read_text(encoding="utf-8")
    links = set(re.findall(r'href="([^"#]+\.html)"', front))
    names = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in PAGES}
    pages = {re.sub(r"README\.html$", "index.html", name) for name in names}
    assert pages - links == set()


def test_files_outside_the_docs_come_along(site: Path) -> None:
    linked = set(re.findall(r'href="([^"]*examples/[^"]+)"', (site / "quickstart.html").read_text(encoding="utf-8")))
    assert linked
    for link in linked:
        assert (site / link).read_bytes() == (ROOT / link).read_bytes()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    loaded = re.findall(r'<(?:script|img|link rel="stylesheet")[^>]+(?:src|href)="([^"]+)"', text)
    assert loaded
    assert [each for each in loaded if each.startswith(("http:", "https:", "//"))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lists_and_tables_begin_after_a_blank_line(page: Path) -> None:
    """GitHub needs none, the site's builder does: without it they are text."""
    lines = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL).splitlines()
    faults = [
        here
        for before, here in pairwise(lines)
        if before.strip() and before[0] not in " #" and not ITEM.match(before)
        if ITEM.match(here) or (here.startswith("|") and not before.startswith("|"))
    ]
    assert faults == []


@pytest.mark.parametrize("page", ["README.md", "helm/medley/README.md"])
def test_links_outside_the_site_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []
