"""A report as one HTML document without anything from elsewhere, and the parts that all of them have. Pure.

The document brings its own content-security policy: nothing is loaded, no script runs, and the one style sheet is
allowed by its hash. So no part may have a `style` attribute; colours of charts are attributes of SVG or classes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape

from medley_operator.pages.charts import COLOURS

STYLE = """\
body{font:14px/1.5 system-ui,sans-serif;margin:24px auto;max-width:1040px;padding:0 16px;color:#222;background:#fff}
h1{font-size:20px}h2{font-size:15px;margin:18px 0 0}
table{border-collapse:collapse;margin:12px 0}th,td{padding:3px 10px;text-align:right;border-bottom:1px solid #ddd}
th.text,td.text{text-align:left}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:12px 0}dt{color:#555}dd{margin:0}
svg{width:100%;height:auto;display:block}svg.bar{width:180px;height:12px}svg.map{width:auto;max-width:100%}
svg text{font:11px system-ui,sans-serif;fill:#555}.grid{stroke:#e4e4e4}
svg.map text{fill:#222}svg.map text.light{fill:#fff}
.legend{margin:2px 0 0 64px;font-size:12px}.legend span{margin-right:14px}
.legend i{display:inline-block;width:10px;height:10px;margin-right:5px}
""" + "".join(f".c{at}{{background:{colour}}}" for at, colour in enumerate(COLOURS))


class Markup(str):
    """A text that is HTML already."""


@dataclass(frozen=True, slots=True)
class Live:
    """A page that shows itself anew: the address of its script, seen from the page."""

    script: str


def policy(live: Live | None = None) -> str:
    """The content-security policy of a page: its own style sheet, and of a live one its own server's scripts."""
    digest = b64encode(sha256(STYLE.encode()).digest()).decode()
    own = "; script-src 'self'; connect-src 'self'" if live is not None else ""
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'{own}"


def document(title: str, parts: Iterable[str], *, live: Live | None = None) -> str:
    """The page with a heading and `parts`, which are HTML already."""
    script = f'<script type="module" src="{escape(live.script)}"></script>' if live is not None else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy(live)}"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(title)}</title><style>{STYLE}</style>{script}</head>"
        f"<body><main><h1>{escape(title)}</h1>{''.join(parts)}</main></body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, texts: Sequence[str] = ()) -> str:
    """Figures stand right, the first column and those headed by one of `texts` left."""
    sides = [' class="text"' if at == 0 or name in texts else "" for at, name in enumerate(headings)]
    heads = "".join(f'<th scope="col"{side}>{escape(name)}</th>' for side, name in zip(sides, headings, strict=True))
    body = "".join(f"<tr>{''.join(map(_cell, sides, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _cell(side: str, text: str) -> str:
    return f"<td{side}>{text if isinstance(text, Markup) else escape(text)}</td>"
