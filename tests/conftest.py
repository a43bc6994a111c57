"""Settings of all tests, and the browser of those that look at pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
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
    from tests.browser.install import NoChromium

    with ExitStack() as stack:
        try:
            browser = stack.enter_context(running())
        except NoChromium as error:
            pytest.skip(str(error))
        yield browser
