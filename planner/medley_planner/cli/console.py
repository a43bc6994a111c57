"""The console and the tables that commands share: texts are folded, never cut, and names are not read as markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from medley_planner.omitted import Omitted

WIDTH = 100
"""The most columns that a report takes, and what it takes where there is no terminal."""
_NUMBERS = frozenset(
    {"replicas", "share", "load", "$/h", "to the plan", "used", "limit", "nodes", "idle $/h", "req/s"}
    | {"prompt tokens", "generated tokens", "before", "after"}
)
_WHOLE = ("variant", "limit of", "pool", "reason")
"""Short columns that are read as a whole; what is long beside them is folded."""


def report_console() -> Console:
    """To standard output."""
    # Names are the user's own and may hold brackets, which must not be read as markup.
    console = Console(markup=False, highlight=False)
    if not console.is_terminal or console.width > WIDTH:
        console = Console(markup=False, highlight=False, width=WIDTH)
    return console


def titled_table(
    title: str | None, headings: Sequence[str], rows: Iterable[tuple[str, ...]], *, unbroken: str = ""
) -> Table:
    """`unbroken`: the heading of a column whose cells stay on one line."""
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(
            heading,
            overflow="fold",
            no_wrap=heading == unbroken,
            justify="right" if heading in _NUMBERS else "left",
            min_width=min(16, len(heading)) if heading in _WHOLE else None,
        )
    for row in rows:
        table.add_row(*row)
    return table


def omitted_table(omitted: Iterable[tuple[Omitted, str]]) -> Table:
    """Each reason once for a pool, with all variants that it holds for; the figures are the first one's.

    Given with each: what is added to its message.
    """
    groups: dict[tuple[str, str], list[tuple[Omitted, str]]] = {}
    for one, more in omitted:
        groups.setdefault((one.pool, one.reason.value), []).append((one, more))
    pools = list(dict.fromkeys(pool for pool, _ in groups))
    rows = []
    for (pool, reason), members in sorted(groups.items(), key=lambda group: pools.index(group[0][0])):
        first, more = members[0]
        why = f"{first.message}; {more}" if more else first.message
        if len(members) > 1:
            why = f"{first.variant}: {why}"
        rows.append((pool, reason, ", ".join(one.variant for one, _ in members), why))
    return titled_table("Not used", ("pool", "reason", "variants", "why"), rows)
