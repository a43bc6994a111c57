"""Which binaries are taken, and the message where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.controlplane.build import cache_root, ensure_assets, require_go
from e2e.controlplane.errors import BuildError
from e2e.controlplane.found import find, parse_version
from e2e.controlplane.recipes import COMPONENTS


def _binary(folder: Path, name: str, answer: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Kubernetes v1.37.2", (1, 37)),
        ("Client Version: v1.32.4\nKustomize Version: v5.5.0", (1, 32)),
        ("etcd Version: 3.6.16\nGit SHA: x", (3, 6)),
        ("v4.3.1+g1234", (4, 3)),
        ("prometheus, version 3.16.0 (branch: , revision: unknown)", (3, 16)),
        ("no version at all", None),
    ],
)
def test_versions_are_read_from_what_binaries_print(text: str, version: tuple[int, int] | None) -> None:
    assert parse_version(text) == version


def test_recent_kubebuilder_asset_is_used(tmp_path: Path) -> None:
    path = _binary(tmp_path / "assets", "kube-apiserver", "Kubernetes v1.36.0")
    environment = {"KUBEBUILDER_ASSETS": str(tmp_path / "assets"), "PATH": ""}
    assert find("kube-apiserver", environment=environment, progress=lambda _: None) == path


def test_old_kubebuilder_asset_is_passed_over_and_said_so(tmp_path: Path) -> None:
    _binary(tmp_path / "assets", "kubectl", "Client Version: v1.30.0")
    recent = _binary(tmp_path / "path", "kubectl", "Client Version: v1.37.0")
    said: list[str] = []
    environment = {"KUBEBUILDER_ASSETS": str(tmp_path / "assets"), "PATH": str(tmp_path / "path")}
    assert find("kubectl", environment=environment, progress=said.append) == recent
    assert "is 1.30, 1.35 or newer is needed" in said[0]


def test_kubebuilder_assets_do_not_hold_other_binaries(tmp_path: Path) -> None:
    _binary(tmp_path / "assets", "helm", "v4.3.1")
    environment = {"KUBEBUILDER_ASSETS": str(tmp_path / "assets"), "PATH": ""}
    assert find("helm", environment=environment, progress=lambda _: None) is None


def test_a_kubebuilder_asset_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    said: list[str] = []
    environment = {"KUBEBUILDER_ASSETS": str(tmp_path / "none"), "PATH": ""}
    assert find("etcd", environment=environment, progress=said.append) is None
    assert said == [f"{tmp_path / 'none' / 'etcd'} is not there: passed over"]


def test_missing_go_gives_one_message_with_the_way_out(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "MEDLEY_CACHE": str(tmp_path / "cache")}
    message = r"no go on PATH to build etcd, .*Way out: install Go 1\.\d+\.\d+ or newer.*KUBEBUILDER_ASSETS"
    with pytest.raises(BuildError, match=message):
        ensure_assets(environment=environment, progress=lambda _: None)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("answer", ["go1.20.3", "devel"])
def test_old_go_gives_one_message_with_the_way_out(tmp_path: Path, answer: str) -> None:
    _binary(tmp_path, "go", answer)
    with pytest.raises(BuildError, match=r"Go 1\.\d+\.\d+ or newer is needed to build; .*go is .*\. Way out"):
        require_go({"PATH": f"{tmp_path}:/bin:/usr/bin"}, COMPONENTS[0])


def test_go_must_do_for_the_most_demanding_component_before_any_is_built(tmp_path: Path) -> None:
    needs = sorted(component.go_needed() for component in COMPONENTS)
    assert needs[0] < needs[-1]
    _binary(tmp_path, "go", "go" + ".".join(map(str, needs[0])))
    with pytest.raises(BuildError, match="or newer is needed to build"):
        require_go({"PATH": f"{tmp_path}:/bin:/usr/bin"}, *COMPONENTS)


def test_what_is_in_the_cache_needs_no_go(tmp_path: Path) -> None:
    for component in COMPONENTS:
        (tmp_path / "controlplane" / component.cache_key()).mkdir(parents=True)
    assets = ensure_assets(environment={"PATH": "", "MEDLEY_CACHE": str(tmp_path)}, progress=lambda _: None)
    assert assets.etcd.is_relative_to(tmp_path)
    assert assets.gateway_api_crds.name == "crds"


def test_a_recent_binary_on_path_stands_in_for_the_built_one(tmp_path: Path) -> None:
    for component in COMPONENTS:
        (tmp_path / "controlplane" / component.cache_key()).mkdir(parents=True)
    own = _binary(tmp_path / "bin", "kubectl", "Client Version: v1.36.1")
    environment = {"PATH": str(tmp_path / "bin"), "MEDLEY_CACHE": str(tmp_path)}
    assets = ensure_assets(environment=environment, progress=lambda _: None)
    assert assets.kubectl == own
    assert assets.kube_scheduler.is_relative_to(tmp_path / "controlplane")


def test_the_key_changes_with_the_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    component = COMPONENTS[0]
    before = component.cache_key()
    monkeypatch.setattr(type(component), "build_flags", lambda _: ("-race",))
    assert component.cache_key() != before


def test_each_component_has_a_version_and_a_key_of_its_own() -> None:
    assert all(component.version().startswith("v") for component in COMPONENTS)
    assert len({component.cache_key() for component in COMPONENTS}) == len(COMPONENTS)


def test_the_cache_is_outside_the_work_tree() -> None:
    assert cache_root({"HOME": "/home/x", "XDG_CACHE_HOME": "/c"}) == Path("/c/medley")
    assert cache_root({"MEDLEY_CACHE": "/m"}) == Path("/m")


def test_binaries_that_are_built_together_are_named_after_their_packages() -> None:
    together = [component for component in COMPONENTS if len(component.binaries) > 1]
    assert together
    for component in together:
        assert all(package.rsplit("/", 1)[1] == name for name, package in component.binaries)
