"""The calibration of all engines as the data of a ConfigMap, and back: one key per engine, one JSON text each. Pure.

An entry says its version. Version 1 had no number, and the keys of its engines no format of the KV cache: they are read
as engines with the default one, which most of them were. Versions 1 and 2 did not tell namespaces and arguments apart:
they count where a namespace knows nothing of its own.
What cannot be read is left out with the reason, and that engine is learned anew; the others stay.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from medley_operator.domain.speed.calibration import KnownEngine, KnownEngines
from medley_operator.domain.speed.speeds import believable
from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.capacity import DERATE, Speed, StepFactors
from medley_planner.capacity.calibration_record import (
    MOST_FACTOR,
    MOST_FIGURE,
    BadRecord,
    from_record,
    to_record,
)
from medley_planner.layout import Layout
from medley_planner.model import Provenance

CONFIG_MAP = "medley-calibration"
VERSION = 3
"""Version of an entry; later versions are refused, because their keys may tell more engines apart."""
MAX_BYTES = 900_000
"""An object may have 1 MiB in all."""
WRITE_GROWTH = 2
"""An engine is worth a write where it has this many times the windows that were written."""
DIGITS = 6
MOST_WORDS = 200
"""Characters of a reason: an entry may hold a megabyte of anything, and reasons are logged."""


@dataclass(frozen=True, slots=True)
class ReadEngines:
    """The content of a ConfigMap, and a sentence for each entry that cannot be used."""

    engines: KnownEngines
    problems: tuple[str, ...]


def config_map(engines: KnownEngines, *, namespace: str) -> Manifest:
    """The ConfigMap to apply. Where it would be too large, the engines with the fewest windows are left out."""
    data: dict[str, str] = {}
    size = 0
    for key in sorted(engines, key=lambda key: (-engines[key].calibration.windows, key)):
        name, text = _name(key), json.dumps(_rounded(_entry(key, engines[key])), separators=(",", ":"))
        size += len(name) + len(text)
        if size > MAX_BYTES:
            break
        data[name] = text
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": CONFIG_MAP,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "medley", "app.kubernetes.io/component": "calibration"},
        },
        "data": data,
    }


def read_config_map(manifest: Manifest) -> ReadEngines:
    engines: dict[LearnedKey, KnownEngine] = {}
    problems: list[str] = []
    data = manifest.get("data") or {}
    if not isinstance(data, Mapping):
        return ReadEngines({}, (f"ConfigMap {CONFIG_MAP}, data: {data!r:.40} is not a mapping of engines",))
    for name in sorted(data):
        try:
            key, known = _read(json.loads(data[name]))
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            said = f"{type(error).__name__}: {error}"[:MOST_WORDS]
            problems.append(f"ConfigMap {CONFIG_MAP}, data.{name}: {said}")
        else:
            engines[key] = known
    return ReadEngines(engines=engines, problems=tuple(problems))


def worth_writing(engines: KnownEngines, written: KnownEngines) -> bool:
    """Whether a restart would lose something: the factors that planning uses, their error, or much that was learned.

    Moved factors alone do not count: they move a little with each window, and planning gets the moves that matter.
    """
    return engines.keys() != written.keys() or any(_differs(engines[key], written[key]) for key in engines)


def _differs(known: KnownEngine, written: KnownEngine) -> bool:
    now, before = known.calibration, written.calibration
    grown = now.windows >= WRITE_GROWTH * max(before.windows, 1)
    return known.told != written.told or now.standing is not before.standing or grown


def _name(key: LearnedKey) -> str:
    """Readable, within what ConfigMaps take for a key, and unique."""
    text = ".".join((key.model, *key.layout.facts.values(), key.arguments, key.namespace))
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', text)[:200]}.{digest}"


def _entry(key: LearnedKey, known: KnownEngine) -> dict[str, Any]:
    told = known.told
    return {
        "version": VERSION,
        "engine": {"model": key.model, **key.layout.facts},
        "arguments": key.arguments,
        "namespace": key.namespace,
        "kvTokens": known.kv_tokens,
        "estimateSeconds": known.estimate_seconds,
        "told": None if told is None or told.provenance is not Provenance.CALIBRATED else asdict(told.factors),
        "calibration": to_record(known.calibration),
    }


def _read(entry: Mapping[str, Any]) -> tuple[LearnedKey, KnownEngine]:
    key = _key(entry.get("version", 1), entry["engine"])
    if entry.get("version") == VERSION:
        key = replace(key, arguments=_text(entry, "arguments"), namespace=_text(entry, "namespace"))
    kv_tokens = None if entry["kvTokens"] is None else _count("kvTokens", entry["kvTokens"])
    told = Speed(kv_tokens=kv_tokens)
    if entry["told"] is not None:
        told = Speed(
            factors=StepFactors(
                **{part.name: _factor(part.name, entry["told"][part.name]) for part in fields(StepFactors)}
            ),
            provenance=Provenance.CALIBRATED,
            derate=DERATE[Provenance.CALIBRATED],
            kv_tokens=kv_tokens,
        )
        if not believable(told):
            raise BadRecord.at("told", entry["told"], "a measurement cannot give these factors")
    seconds = entry["estimateSeconds"]
    if seconds is not None and (isinstance(seconds, bool) or not 0 < seconds <= MOST_FIGURE):
        raise BadRecord.at("estimateSeconds", seconds, "it is not a time")
    calibration = from_record(entry["calibration"])
    return key, KnownEngine(calibration=calibration, kv_tokens=kv_tokens, told=told, estimate_seconds=seconds)


def _key(version: Any, engine: Mapping[str, Any]) -> LearnedKey:
    if version not in range(1, VERSION + 1):
        raise BadRecord.at("version", version, f"only versions 1 to {VERSION} are read")
    facts = dict(engine)
    if version == 1:
        facts["tensor_parallel"] = str(_count("engine.tensor_parallel", facts["tensor_parallel"]))
    for name, value in facts.items():
        if not isinstance(value, str):
            raise BadRecord.at(f"engine.{name}", value, "it is not text")
    model = facts.pop("model")
    return LearnedKey(model, Layout.from_facts(facts))


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name, "")
    if not isinstance(value, str) or len(value) > MOST_WORDS:
        raise BadRecord.at(name, value, "it is not a short text")
    return value


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_FIGURE:
        raise BadRecord.at(name, value, "it is not a whole number of at least 1")
    return value


def _factor(name: str, value: Any) -> float:
    if isinstance(value, bool) or not 0 < value <= MOST_FACTOR:
        raise BadRecord.at(f"told.{name}", value, f"it is not a factor above 0 and at most {MOST_FACTOR:g}")
    return float(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
