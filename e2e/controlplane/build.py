"""Finds or builds the binaries of the control plane, and keeps them in a cache outside the work tree.

Each component is built by its own go.mod and go.sum into `<cache>/controlplane/<component>-<hash>/`, in a temporary
folder first and then renamed, under a file lock: an interrupted build leaves nothing half done, and two runs at once
build once. Needs Go only where something has to be built.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.controlplane.errors import BuildError
from e2e.controlplane.found import find
from e2e.controlplane.recipes import COMPONENTS, Component

_PROGRESS_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Assets:
    """Where everything is that the control plane starts or installs."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kubectl: Path
    helm: Path
    kwok: Path
    prometheus: Path
    promtool: Path
    kwok_stages: Path
    gateway_api_crds: Path


def cache_root(environment: Mapping[str, str]) -> Path:
    """`$MEDLEY_CACHE`, else `$XDG_CACHE_HOME/medley`, else `~/.cache/medley`."""
    if environment.get("MEDLEY_CACHE"):
        return Path(environment["MEDLEY_CACHE"])
    base = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "medley"


def say(message: str) -> None:
    print(f"control plane: {message}", file=sys.stderr, flush=True)


def ensure_assets(*, progress: Callable[[str], None] = say, environment: Mapping[str, str] | None = None) -> Assets:
    """All binaries and files, found or built. Raises `BuildError` with the way out."""
    env = os.environ if environment is None else environment
    paths: dict[str, Path] = {}
    for component in COMPONENTS:
        found = {name: find(name, environment=env, progress=progress) for name, _ in component.binaries}
        usable = {name: path for name, path in found.items() if path is not None}
        if component.files or len(usable) < len(component.binaries):
            folder = _ensure_component(component, environment=env, progress=progress)
            paths.update({name: folder / name for name, _ in component.binaries})
            paths.update({target.split("/")[0]: folder / target.split("/")[0] for _, target in component.files})
        paths.update(usable)
    return Assets(
        etcd=paths["etcd"],
        kube_apiserver=paths["kube-apiserver"],
        kube_controller_manager=paths["kube-controller-manager"],
        kube_scheduler=paths["kube-scheduler"],
        kubectl=paths["kubectl"],
        helm=paths["helm"],
        kwok=paths["kwok"],
        prometheus=paths["prometheus"],
        promtool=paths["promtool"],
        kwok_stages=paths["stages"],
        gateway_api_crds=paths["crds"],
    )


def _ensure_component(component: Component, *, environment: Mapping[str, str], progress: Callable[[str], None]) -> Path:
    root = cache_root(environment) / "controlplane"
    target = root / component.cache_key()
    if target.is_dir():
        return target
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / f"{component.name}.lock"):
        if target.is_dir():
            return target
        go = require_go(environment, component)
        started = time.monotonic()
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{component.name}-") as temporary:
            built = Path(temporary) / "built"
            built.mkdir()
            for name, package in component.binaries:
                _build(component, name=name, package=package, into=built, go=go, env=environment, progress=progress)
            if component.files:
                _copy_files(component, into=built, go=go, environment=environment)
            built.rename(target)
        progress(f"{component.name} {component.version()} ready after {time.monotonic() - started:.0f} s")
    return target


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def go_version_needed(component: Component) -> tuple[int, int]:
    found = re.search(r"^go (\d+)\.(\d+)", (component.folder / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise BuildError(f"{component.folder / 'go.mod'} names no Go version")
    return int(found.group(1)), int(found.group(2))


def require_go(environment: Mapping[str, str], component: Component) -> str:
    """Path of a Go that can build `component`. Raises `BuildError` where there is none, or it is too old."""
    needed = go_version_needed(component)
    wanted = f"Go {needed[0]}.{needed[1]} or newer"
    way_out = f"Way out: install {wanted} and put it on PATH" + (
        ", or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl, and put the rest on PATH."
        if component.binaries
        else "."
    )
    go = shutil.which("go", path=environment.get("PATH", ""))
    if go is None:
        raise BuildError(f"{component.name} has to be built and there is no go on PATH. {way_out}")
    answer = subprocess.run(
        [go, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=_go_env(environment)
    )
    found = re.search(r"go(\d+)\.(\d+)", answer.stdout)
    version = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
    if version < needed:
        have = answer.stdout.strip() or "of unknown version"
        raise BuildError(f"{component.name} needs {wanted}; {go} is {have}. {way_out}")
    return go


def _go_env(environment: Mapping[str, str]) -> dict[str, str]:
    return {**environment, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off", "CGO_ENABLED": "0"}


def _build(
    component: Component,
    *,
    name: str,
    package: str,
    into: Path,
    go: str,
    env: Mapping[str, str],
    progress: Callable[[str], None],
) -> None:
    argv = [go, "build", "-trimpath", "-ldflags", component.ldflags(), "-o", str(into / name)]
    if component.tags:
        argv += ["-tags", component.tags]
    _run_go([*argv, package], component=component, what=f"building {name}", environment=env, progress=progress)


def _copy_files(component: Component, *, into: Path, go: str, environment: Mapping[str, str]) -> None:
    def quiet(_: str) -> None:
        return

    _run_go(
        [go, "mod", "download", component.module],
        component=component,
        what="download",
        environment=environment,
        progress=quiet,
    )
    listed = subprocess.run(
        [go, "list", "-m", "-f", "{{.Dir}}", component.module],
        cwd=component.folder, env=_go_env(environment), capture_output=True, text=True, check=True,
    )  # fmt: skip
    module = Path(listed.stdout.strip())
    for source, target in component.files:
        destination = into / target
        destination.parent.mkdir(parents=True, exist_ok=True)
        if (module / source).is_dir():
            shutil.copytree(module / source, destination, copy_function=shutil.copyfile)
            destination.chmod(0o755)
        else:
            shutil.copyfile(module / source, destination)


def _run_go(
    argv: list[str], *, component: Component, what: str, environment: Mapping[str, str], progress: Callable[[str], None]
) -> None:
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            argv, cwd=component.folder, env=_go_env(environment), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while True:
                try:
                    status = process.wait(timeout=_PROGRESS_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    progress(
                        f"{what} ({component.module} {component.version()}): {time.monotonic() - started:.0f} s so far"
                    )
        except BaseException:
            process.kill()
            process.wait()
            raise
        if status != 0:
            output.seek(0)
            tail = "".join(output.readlines()[-30:])
            raise BuildError(f"{what}: {' '.join(argv)} in {component.folder} failed:\n{tail}")
    progress(f"{what}: {time.monotonic() - started:.0f} s")
