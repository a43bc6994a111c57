"""Settings of all tests, and the browser of those that look at pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.browser.chromium import Chromium

# A shared machine may stop for a second at any time: how long one example took says nothing.
settings.register_profile("medley", deadline=None)
settings.load_profile("medley")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """A headless browser for the tests of one module, none of which may be asynchronous."""
    from tests.browser.chromium import running
    from tests.browser.install import NoChromium, find

    try:
        missing = None if find() else "no Chromium"
    except NoChromium as error:
        missing = str(error)
    if missing:
        pytest.skip(f"{missing}: make browser installs it, or says what to do")
    with running() as browser:
        yield browser
