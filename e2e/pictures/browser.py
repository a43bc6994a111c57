"""An SVG as a PNG, by headless Chromium.

Apart: the one place that knows the browser and its flags.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
SECONDS = 120


class NoBrowserError(RuntimeError):
    """There is no Chromium, or it made no picture; the message says the way out."""


def screenshot(svg: str, path: Path, *, width: int, height: int) -> None:
    """Writes the pixels of its top left corner."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise NoBrowserError("pictures need Chromium on the PATH; install it (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory(prefix="medley-chromium-") as folder:
        page = Path(folder) / "page.svg"
        page.write_text(svg, encoding="utf-8")
        done = subprocess.run(
            [
                chromium,
                *FLAGS,
                f"--user-data-dir={folder}/profile",
                f"--window-size={width},{height}",
                f"--screenshot={path.resolve()}",
                page.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    if done.returncode != 0 or not path.exists():
        raise NoBrowserError(f"{chromium} made no picture (exit status {done.returncode}): {done.stderr[-500:]}")
