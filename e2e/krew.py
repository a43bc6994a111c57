"""`kubectl medley` as a plugin of krew: an archive that needs nothing but Python 3.11, and its manifest.

The archive has the packages of an environment in which the wheel is installed, and a launcher beside them. krew links
the launcher into its folder on the PATH, so it looks for the packages where the link leads.
"""

from __future__ import annotations

import gzip
import hashlib
import platform
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

LAUNCHER = "kubectl-medley"
PYTHON = "3.11"
"""The compiled packages of the lock are for this version alone."""
_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_TOOLS = ("pip", "setuptools", "_distutils_hack", "distutils-precedence.pth", "pkg_resources")
_LAUNCHER_TEXT = f"""\
#!/bin/sh
# kubectl medley, with the packages beside this file.
here=$(dirname "$(readlink -f "$0")")
python=$(command -v python{PYTHON}) || {{
  echo "kubectl medley: python{PYTHON} is not on the PATH; install it (Debian: apt-get install python{PYTHON})" >&2
  exit 2
}}
exec "$python" -I -c '
import sys
sys.path.insert(0, sys.argv.pop(1))
from medley_operator.cli.main import main
sys.exit(main())
' "$here/lib" "$@"
"""
_DESCRIPTION = """\
Reads a cluster that runs vLLM and says what its engines cost and what the
cheapest mix of GPU types would (kubectl medley advise), plans LLM services
from YAML files, and shows, explains, approves and pauses what the Medley
operator plans. It acts with the rights of your kubeconfig.
"""
_CAVEATS = f"Needs python{PYTHON} on the PATH. Completion: source <(kubectl medley completion bash)\n"


def pack(packages: Path, licence: Path, *, version: str, folder: Path) -> Path:
    """The archive, in `folder`. `packages`: the site-packages of the environment."""
    system, machine = _platform()
    archive = folder / f"{LAUNCHER}-v{version}-{system}-{machine}.tar.gz"
    zipped = gzip.GzipFile(archive, "wb", compresslevel=6, mtime=0)
    with zipped, tarfile.open(fileobj=zipped, mode="w") as packed:
        _add(packed, LAUNCHER, _LAUNCHER_TEXT.encode(), mode=0o755)
        _add(packed, "LICENSE", licence.read_bytes(), mode=0o644)
        for path in sorted(packages.iterdir()):
            if not _is_tool(path.name):
                packed.add(path, f"lib/{path.name}", filter=_kept)
    return archive


def manifest(archives: Sequence[Path], *, version: str, url: str) -> dict[str, Any]:
    """The plugin as krew reads it (krew.sigs.k8s.io/docs/developer-guide/plugin-manifest). `url`: the address of the
    folder that serves the archives."""
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "medley"},
        "spec": {
            "version": f"v{version}",
            "shortDescription": "Plan the cheapest mix of GPU types for LLM services",
            "description": _DESCRIPTION,
            "caveats": _CAVEATS,
            "platforms": [_row(archive, url) for archive in archives],
        },
    }


def _row(archive: Path, url: str) -> dict[str, Any]:
    system, machine = archive.name.removesuffix(".tar.gz").rsplit("-", 2)[1:]
    return {
        "selector": {"matchLabels": {"os": system, "arch": machine}},
        "uri": f"{url.rstrip('/')}/{archive.name}",
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "bin": LAUNCHER,
    }


def _platform() -> tuple[str, str]:
    """As Kubernetes names the system and the machine that this runs on."""
    return _SYSTEMS[platform.system()], _MACHINES[platform.machine()]


def _is_tool(name: str) -> bool:
    """Whether it installs packages, which are installed already, or is compiled anew."""
    return name in (*_TOOLS, "__pycache__") or name.startswith(("pip-", "setuptools-"))


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Equal environments make equal archives: without owners, times and compiled modules."""
    if "__pycache__" in member.name:
        return None
    return member.replace(mtime=0, uid=0, gid=0, uname="", gname="", deep=False)


def _add(packed: tarfile.TarFile, name: str, content: bytes, *, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    packed.addfile(member, BytesIO(content))
