"""A report as one HTML document without anything from elsewhere, and the parts that all of them have. Pure.

The document brings its own content-security policy: nothing is loaded, no script runs, and the one style sheet is
allowed by its hash. So no part may have a `style` attribute; colours of charts are attributes of SVG or classes.
Apart: every page is one, not the replay's alone.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape

from medley_operator.pages.charts import COLOURS

STYLE = """\
body{font:14px/1.5 system-ui,sans-serif;margin:24px auto;max-width:1040px;padding:0 16px;color:#222;background:#fff}
h1{font-size:20px}h2{font-size:15px;margin:18px 0 0}
table{border-collapse:collapse;margin:12px 0}th,td{padding:3px 10px;text-align:right;border-bottom:1px solid #ddd}
th.text,td.text{text-align:left}
svg{width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:#555}.grid{stroke:#e4e4e4}
.legend{margin:2px 0 0 64px;font-size:12px}.legend span{margin-right:14px}
.legend i{display:inline-block;width:10px;height:10px;margin-right:5px}
""" + "".join(f".c{at}{{background:{colour}}}" for at, colour in enumerate(COLOURS))


def document(title: str, parts: Iterable[str]) -> str:
    """The page with a heading and `parts`, which are HTML already."""
    digest = b64encode(sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
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
    body = "".join(
        "<tr>" + "".join(f"<td{side}>{escape(cell)}</td>" for side, cell in zip(sides, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
