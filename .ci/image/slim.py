"""Takes out of an installation what the operator never imports: `slim.py SITE_PACKAGES` (the Dockerfile runs it).

Most of a plain installation is tests, and the sources and docstrings of generated code. What goes is named here; that
the rest is enough is tested by running the image (tests/contract/test_image.py).
"""

from __future__ import annotations

import compileall
import shutil
import sys
from pathlib import Path

UNUSED = (
    # ortools names it as a dependency; MathOpt and pywraplp do not import it.
    "pandas",
    "pandas-*.dist-info",
    "tzdata",
    "tzdata-*.dist-info",
    # Its synchronous half, of which the operator uses nothing.
    *(f"kubernetes/{part}" for part in ("client", "config", "dynamic", "informer", "leaderelection")),
    *(f"kubernetes/{part}" for part in ("stream", "utils", "watch")),
    # Loaded by name where somebody asks for a typed API or object; the operator sends and reads JSON.
    "kubernetes/aio/client/api/[a-z]*.py",
    "kubernetes/aio/client/models/[a-z]*.py",
    "ortools/algorithms",
    "ortools/constraint_solver",
    "ortools/graph",
    "ortools/packing",
    "ortools/scheduling",
    "ortools/set_cover",
    "ortools/sat/python",
    "numpy/f2py",
    "numpy/distutils",
    "numpy/_core/lib",
    "numpy/random/lib",
)
TESTS = ("test", "tests")
WITHOUT_SOURCE = ("kubernetes", "ortools", "numpy", "google", "pygments", "aiohttp")
"""Compiled without docstrings and assertions, and kept without their sources: large, and not ours to debug."""


def slim(packages: Path) -> None:
    """Changes the folder in place."""
    for pattern in UNUSED:
        found = list(packages.glob(pattern))
        if not found:
            raise SystemExit(f"{packages} has no {pattern}: correct UNUSED of {__file__}")
        for path in found:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    _without_imports(packages / "kubernetes" / "__init__.py")
    for path in list(packages.rglob("*")):
        if path.is_dir() and path.name in (*TESTS, "__pycache__"):
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix in (".pyi", ".a"):
            path.unlink(missing_ok=True)
    for name in WITHOUT_SOURCE:
        if not compileall.compile_dir(packages / name, quiet=1, legacy=True, optimize=2):
            raise SystemExit(f"{packages / name} cannot be compiled")
        for path in (packages / name).rglob("*.py"):
            path.unlink()
    compileall.compile_dir(packages, quiet=1)


def _without_imports(module: Path) -> None:
    """The module without what it imports of its own package, which is gone."""
    lines = module.read_text().splitlines(keepends=True)
    module.write_text("".join(line for line in lines if not line.startswith("from . import")))


if __name__ == "__main__":
    slim(Path(sys.argv[1]))
