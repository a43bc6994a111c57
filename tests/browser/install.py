"""`python -m tests.browser.install`, called by `make browser`: finds Chromium, or installs Debian's package as root.

With `--or-skip`, as `make test` calls it, a machine that has none and may not install it is told so and goes on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

VARIABLE = "MEDLEY_CHROMIUM"
"""Names the binary of a Chromium or Chrome that is not on PATH."""
NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGE = "chromium"
WAY_OUT = f"install it (Debian and Ubuntu: apt-get install {PACKAGE}) or set {VARIABLE} to the binary of one"


class NoChromium(Exception):
    """There is no Chromium, and it cannot be installed from here; the message says what to do."""


def find(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The browser that tests drive; None where there is none."""
    named = environment.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise NoChromium(f"{VARIABLE} is {named!r}, which cannot be run; name the binary of a Chromium or unset it")
        return Path(found)
    return next((Path(found) for name in NAMES if (found := shutil.which(name, path=environment.get("PATH")))), None)


def ensure(
    *,
    environment: Mapping[str, str] = os.environ,
    is_root: Callable[[], bool] = lambda: os.geteuid() == 0,
    call: Callable[[Sequence[str]], int] = subprocess.call,
) -> Path:
    """The browser, installed where it is missing and this may be done."""
    found = find(environment)
    if found is not None:
        return found
    if not is_root() or shutil.which("apt-get", path=environment.get("PATH")) is None:
        raise NoChromium(f"tests of pages and reports need Chromium: {WAY_OUT}")
    print(f"Installing Debian's package {PACKAGE}", flush=True)
    for command in (
        ("apt-get", "update", "-qq"),
        ("apt-get", "install", "-qq", "--yes", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", PACKAGE),
    ):
        if call(("env", "DEBIAN_FRONTEND=noninteractive", *command)):
            raise NoChromium(f"{' '.join(command)} failed, and tests of pages and reports need Chromium: {WAY_OUT}")
    found = find(environment)
    if found is None:
        raise NoChromium(f"the package {PACKAGE} is installed and has no {NAMES[0]} on PATH: {WAY_OUT}")
    return found


if __name__ == "__main__":
    try:
        ensure()
    except NoChromium as error:
        if sys.argv[1:] != ["--or-skip"]:
            sys.exit(f"browser: {error}")
        print(f"browser: {error}; until then those tests are skipped", file=sys.stderr)
