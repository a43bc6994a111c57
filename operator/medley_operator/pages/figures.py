"""Figures beside words: bars in a table's cells, a map of sizes, and what other rates, prices and targets would change.

Pure. A bar repeats the number beside it, so it is hidden from readers of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from medley_operator.domain.questions import QuestionAnswer
from medley_operator.pages.charts import COLOURS
from medley_operator.pages.document import Markup, paragraph, section, table
from medley_planner.model import Demand
from medley_planner.units import per_hour, req_per_second

BAR_WIDTH, BAR_HEIGHT = 180, 12
CELL_WIDTH, CELL_HEIGHT, MAP_LEFT, MAP_BOTTOM = 78, 26, 92, 34
_FAINTEST = 0.04


def bar(value: float, most: float, *, colour: int = 0) -> Markup:
    """As long as `value` is of `most`; `colour` is the place in the charts' colours."""
    width = BAR_WIDTH * min(max(value / most, 0.0), 1.0) if most > 0 else 0.0
    return Markup(
        f'<svg class="bar" aria-hidden="true" viewBox="0 0 {BAR_WIDTH} {BAR_HEIGHT}">'
        f'<rect width="{width:.1f}" height="{BAR_HEIGHT}" fill="{COLOURS[colour % len(COLOURS)]}"/></svg>'
    )


def size_map(demand: Demand) -> str:
    """The rate of requests by prompt and generated tokens, the more the darker."""
    prompts = sorted({round(bucket.prompt_tokens) for bucket in demand.buckets})
    outputs = sorted({round(bucket.generation_tokens) for bucket in demand.buckets}, reverse=True)
    shares: dict[tuple[int, int], float] = {}
    for bucket, share in zip(demand.buckets, demand.shares, strict=True):
        at = round(bucket.prompt_tokens), round(bucket.generation_tokens)
        shares[at] = shares.get(at, 0.0) + share
    most = max(shares.values(), default=0.0)
    width, height = MAP_LEFT + CELL_WIDTH * len(prompts), MAP_BOTTOM + CELL_HEIGHT * len(outputs)
    parts = [
        f'<svg class="map" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        'aria-label="requests by prompt and generated tokens">'
    ]
    for row, generated in enumerate(outputs):
        y = row * CELL_HEIGHT
        parts.append(f'<text x="{MAP_LEFT - 8}" y="{y + 17}" text-anchor="end">{generated:,}</text>')
        for column, prompt in enumerate(prompts):
            share = shares.get((prompt, generated), 0.0)
            parts.append(_cell(MAP_LEFT + column * CELL_WIDTH, y, share, share / most if most > 0 else 0.0))
    for column, prompt in enumerate(prompts):
        x = MAP_LEFT + (column + 0.5) * CELL_WIDTH
        parts.append(f'<text x="{x:.0f}" y="{height - 20}" text-anchor="middle">{prompt:,}</text>')
    parts.append(f'<text x="{MAP_LEFT}" y="{height - 4}">prompt tokens across, generated tokens upwards</text></svg>')
    return "".join(parts)


def _cell(x: int, y: int, share: float, dark: float) -> str:
    opacity = _FAINTEST + (1 - _FAINTEST) * dark
    label = f"{share:.1%}" if share >= 0.0005 else ""
    ink = ' class="light"' if dark > 0.75 else ""
    return (
        f'<rect x="{x}" y="{y}" width="{CELL_WIDTH - 2}" height="{CELL_HEIGHT - 2}" fill="{COLOURS[0]}" '
        f'fill-opacity="{opacity:.3f}"/><text x="{x + CELL_WIDTH / 2 - 1:.0f}" y="{y + 16}" text-anchor="middle"'
        f"{ink}>{label}</text>"
    )


def replicas_text(replicas: Mapping[str, int]) -> str:
    """ "3 x l4 + 1 x h100"; "none"."""
    return " + ".join(f"{count} x {variant}" for variant, count in replicas.items() if count > 0) or "none"


def what_if(answers: Sequence[QuestionAnswer], *, cost_per_hour: float, simulated: bool) -> str:
    """The section on other rates, prices and targets; `cost_per_hour` is the plan's as it is, which rests on capacities
    that are `simulated`."""
    most = max([cost_per_hour, *(each.cost_per_hour or 0.0 for each in answers)])
    rows: list[tuple[str, ...]] = [("as it is", bar(cost_per_hour, most, colour=2), per_hour(cost_per_hour), "", "")]
    rows += [_answer_row(each, cost_per_hour, most) for each in answers]
    words = "Each line is a plan of its own for the whole fleet, with all else as it is."
    if simulated:
        words += " Capacities at other latency targets are the closed form's, which is not simulated."
    return section(
        "What would change if",
        paragraph(words),
        table(("if", "bar", "cost", "change", "replicas"), rows, texts=("bar", "replicas")),
    )


def _answer_row(each: QuestionAnswer, now: float, most: float) -> tuple[str, ...]:
    if each.cost_per_hour is None:
        return (each.question.words, "", "", "", f"no plan: {each.why}")
    change = f"{each.cost_per_hour / now - 1:+.0%}" if now > 0 else ""
    same = per_hour(each.cost_per_hour) == per_hour(now)
    return (
        each.question.words,
        bar(each.cost_per_hour, most),
        per_hour(each.cost_per_hour),
        "none" if same else change,
        _mixes(each),
    )


def _mixes(each: QuestionAnswer) -> str:
    named = len(each.replicas) > 1
    mixes = [
        f"{name}: {replicas_text(replicas)}" if named else replicas_text(replicas)
        for name, replicas in each.replicas.items()
    ]
    lost = [f"{req_per_second(each.unserved_rps)} not served"] if each.unserved_rps > 0 else []
    return "; ".join([*mixes, *lost])


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what they are, in two columns; those without a value are left out."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs if value)
    return f"<dl>{rows}</dl>"
