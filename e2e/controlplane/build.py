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
from e2e.controlplane.processes import run_told
from e2e.controlplane.recipes import COMPONENTS, Component


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
    inference_pool_crds: Path


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
    root = cache_root(env) / "controlplane"
    paths: dict[str, Path] = {}
    from_modules: list[Component] = []
    for component in COMPONENTS:
        found = {name: find(name, environment=env, progress=progress) for name, _ in component.binaries}
        paths.update({name: path for name, path in found.items() if path is not None})
        if component.files or None in found.values():
            from_modules.append(component)
    missing = [component for component in from_modules if not (root / component.cache_key()).is_dir()]
    # Asked before the first build, so that the last component does not fail after ten minutes of building the others.
    go = require_go(env, *missing) if missing else None
    for component in from_modules:
        folder = root / component.cache_key()
        if go is not None:
            _ensure_component(component, target=folder, go=go, environment=env, progress=progress)
        names = [name for name, _ in component.binaries] + [target.split("/")[0] for _, target in component.files]
        paths = {**{name: folder / name for name in names}, **paths}
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
        inference_pool_crds=paths["pool-crds"],
    )


def _ensure_component(
    component: Component, *, target: Path, go: str, environment: Mapping[str, str], progress: Callable[[str], None]
) -> None:
    if target.is_dir():
        return
    root = target.parent
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / f"{component.name}.lock", waiting=lambda: progress(f"{component.name}: another run builds it")):
        if target.is_dir():
            return
        started = time.monotonic()
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{component.name}-") as temporary:
            built = Path(temporary) / "built"
            built.mkdir()
            if component.binaries:
                _build(component, into=built, go=go, environment=environment, progress=progress)
            if component.files:
                _copy_files(component, into=built, go=go, environment=environment, progress=progress)
            built.rename(target)
        progress(f"{component.name} {component.version()} ready after {time.monotonic() - started:.0f} s")


def _build(
    component: Component, *, into: Path, go: str, environment: Mapping[str, str], progress: Callable[[str], None]
) -> None:
    """All binaries in one go, so that one links while another compiles."""
    packages = [package for _, package in component.binaries]
    names = ", ".join(name for name, _ in component.binaries)
    # go names several binaries after their packages, as the recipes do; a single one is named here.
    target = str(into / names) if len(packages) == 1 else f"{into}/"
    argv = [go, "build", *component.build_flags(), "-o", target, *packages]
    _run_go(argv, component=component, what=f"building {names}", environment=environment, progress=progress)


@contextmanager
def locked(path: Path, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock file of a cache entry; calls `waiting` first where another run holds it."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def require_go(environment: Mapping[str, str], *components: Component) -> str:
    """Path of a Go that can build all `components`. Raises `BuildError` where there is none, or it is too old."""
    needed = max(component.go_needed() for component in components)
    wanted = f"Go {_dotted(needed)} or newer"
    names = ", ".join(component.name for component in components)
    files = " and ".join(component.name for component in components if component.files)
    way_out = (
        f"Way out: install {wanted} and put it on PATH. Binaries that are there already are not built: etcd, "
        "kube-apiserver and kubectl in the folder that KUBEBUILDER_ASSETS names, and any other on PATH"
        + (f" (files of {files} need Go in any case)." if files else ".")
    )
    go = shutil.which("go", path=environment.get("PATH", ""))
    if go is None:
        raise BuildError(f"there is no go on PATH to build {names}. {way_out}")
    answer = subprocess.run(
        [go, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=_go_env(environment)
    )
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", answer.stdout)
    version = (int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)) if found else (0, 0, 0)
    if version < needed:
        have = answer.stdout.strip() or "of unknown version"
        raise BuildError(f"{names}: {wanted} is needed to build; {go} is {have}. {way_out}")
    return go


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))


def _go_env(environment: Mapping[str, str]) -> dict[str, str]:
    return {**environment, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off", "CGO_ENABLED": "0"}


def _copy_files(
    component: Component, *, into: Path, go: str, environment: Mapping[str, str], progress: Callable[[str], None]
) -> None:
    argv = [go, "mod", "download", component.module]
    what = f"downloading {component.module}"
    _run_go(argv, component=component, what=what, environment=environment, progress=progress)
    listed = subprocess.run(
        [go, "list", "-m", "-f", "{{.Dir}}", component.module],
        cwd=component.folder, env=_go_env(environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        raise BuildError(f"{' '.join(listed.args)} in {component.folder} failed:\n{listed.stderr}")
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
    named = f"{what} ({component.module} {component.version()})"
    status, tail = run_told(
        argv,
        cwd=component.folder,
        environment=_go_env(environment),
        still=lambda seconds: progress(f"{named}: {seconds:.0f} s so far"),
        tail_lines=30,
    )
    if status != 0:
        raise BuildError(f"{what}: {' '.join(argv)} in {component.folder} failed:\n{tail}")
    progress(f"{what}: {time.monotonic() - started:.0f} s")
