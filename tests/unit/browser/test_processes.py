"""The browser of the tests leaves nothing running. Apart from the other tests, whose browser runs in this thread."""

from __future__ import annotations

import re
import subprocess

from tests.browser.chromium import running


def test_no_process_stays() -> None:
    before = _profiles()
    with running() as browser, browser.visit("about:blank"):
        own = _profiles() - before
        assert len(own) == 1
    assert not own & _profiles()


def _profiles() -> set[str]:
    """The profile folders that running processes name."""
    shown = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"medley-chromium-\w+", shown))
