"""The browser of the tests: it notices what a sound page has none of, and leaves nothing running."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.chromium import Chromium

SOUND = '<!DOCTYPE html><html lang="en"><head><title>T</title>{head}</head><body><main>{body}</main></body></html>'


def test_a_sound_page_passes(chromium: Chromium) -> None:
    with chromium.visit_html(SOUND.format(head="", body="<h1>T</h1><p>text</p>")) as visit:
        visit.assert_sound()
        assert visit.texts("p") == ["text"]


@pytest.mark.parametrize(
    ("head", "body", "found"),
    [
        ("<script>console.error('broken')</script>", "<h1>T</h1>", "error: broken"),
        ("<script>throw new Error('broken')</script>", "<h1>T</h1>", "exception: broken"),
        (
            '<script src="http://elsewhere.example/a.js"></script>',
            "<h1>T</h1>",
            "asked for http://elsewhere.example/a.js",
        ),
        (
            '<link rel="stylesheet" href="https://elsewhere.example/a.css"/>',
            "<h1>T</h1>",
            "asked for https://elsewhere.example/a.css",
        ),
        ("", '<h1>T</h1><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="/>', "image-alt"),
        ("", '<h1>T</h1><table><tr><td style="color:#eee">faint</td></tr></table>', "color-contrast"),
        (
            "",
            '<h1>T</h1><svg width="3000" height="10" role="img" aria-label="wide"></svg>',
            "pixels wider than the window",
        ),
    ],
    ids=["console", "exception", "script", "style sheet", "no text for a picture", "faint", "wide"],
)
def test_a_page_that_is_not_sound_is_found(chromium: Chromium, head: str, body: str, found: str) -> None:
    page = SOUND.format(head=head, body=body)
    with chromium.visit_html(page) as visit, pytest.raises(AssertionError, match=found):
        visit.assert_sound()


def test_what_a_policy_refuses_is_a_complaint(chromium: Chromium) -> None:
    policy = {"Content-Security-Policy": "default-src 'none'; script-src 'self'"}
    with chromium.visit_html(SOUND.format(head="<script>1</script>", body="<h1>T</h1>"), headers=policy) as visit:
        assert any("Content Security Policy" in complaint for complaint in visit.complaints)


def test_a_file_can_be_visited(chromium: Chromium, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(SOUND.format(head="", body="<h1>From a file</h1>"))
    with chromium.visit(file.as_uri()) as visit:
        visit.assert_sound()
        assert visit.texts("h1") == ["From a file"]
