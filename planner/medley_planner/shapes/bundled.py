"""Shapes of common open models, so that a service names its model and nothing else.

The package's models.json holds, per shape, the Hugging Face ids that have it, their published parameter count with its
source, and the shape's keys of config.json; `checked` are public copies of that config.json with which each key was
compared. Reads that file, nothing else.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from medley_planner.bad_input import BadInput
from medley_planner.shapes.config import shape_from_config
from medley_planner.shapes.shape import ModelShape

CONFIG_IN_SERVICE = "put the content of its config.json into spec.model.configJson"


class UnknownModel(BadInput):
    """The model's shape is not bundled. `close` are bundled ids that look like it; `config` says where to give it."""

    def __init__(self, uri: str, close: tuple[str, ...], config: str) -> None:
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        super().__init__("", "model", uri, f"its shape is not known{hint}; {config}")
        self.close = close


@dataclass(frozen=True, slots=True)
class BundledModel:
    """A bundled id with its shape and its published parameter count, which is from `source`.

    `checked`: copies of its config.json, by repository and commit or by their name on Hugging Face, with which the
    shape's keys were compared; "": none.
    """

    model: str
    declared_parameters: int
    shape: ModelShape
    source: str
    checked: str


def bundled_models() -> tuple[BundledModel, ...]:
    """All bundled models, in the file's order."""
    return tuple(_bundled(folded) for folded in _entries())


@cache
def _bundled(folded: str) -> BundledModel:
    """The model of that id, of `_entries`. Made when it is asked for: all of them take longer than a small plan."""
    model, entry = _entries()[folded]
    return BundledModel(
        model=model,
        declared_parameters=entry["parameters"],
        shape=shape_from_config(entry["config"], name=model),
        source=entry["source"],
        checked=entry.get("checked", ""),
    )


@cache
def _entries() -> dict[str, tuple[str, dict[str, Any]]]:
    """Each id as the file has it and its entry there, by the id in lower case."""
    text = files("medley_planner.shapes").joinpath("models.json").read_text(encoding="utf-8")
    return {model.casefold(): (model, entry) for entry in json.loads(text) for model in entry["models"]}


def model_id(uri: str) -> str:
    """`organisation/model` of `hf://organisation/model`, and of itself."""
    return uri.removeprefix("hf://")


def bundled_shape(uri: str, *, config: str = CONFIG_IN_SERVICE) -> ModelShape:
    """The shape of `hf://organisation/model` or `organisation/model`, in any case.

    Raises UnknownModel; `config` is how its message says where a config.json can be given instead.
    """
    wanted = model_id(uri.strip()).strip("/").casefold()
    known = _entries()
    if wanted in known:
        return _bundled(wanted).shape
    close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.75)
    raise UnknownModel(uri, tuple(known[name][0] for name in close), config)
