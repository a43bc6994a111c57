"""Candidate settings of services, each replayed under Medley: which one costs least and keeps its targets.

A swept field is written as `scaling.headroomPercent=0,5,10`: a path within `spec` of every LLMService, and its values.
Several fields give all their combinations. Starts processes, as many as are asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import yaml
from pydantic import ValidationError

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.replay.bad_replay import BadReplay
from medley_operator.replay.operator_loop import Tables
from medley_operator.replay.outcome import PolicyOutcome
from medley_operator.replay.policies import Replay, medley
from medley_operator.replay.scenario import Scenario
from medley_planner.schema_faults import faults_of

MOST_CANDIDATES = 1000
Settings = Mapping[str, Any]
"""Values by the path of their field."""


@dataclass(frozen=True, slots=True)
class SweptField:
    path: str
    values: tuple[Any, ...]


def swept_field(text: str) -> SweptField:
    """Raises ValueError with the text and the form."""
    path, equals, rest = text.partition("=")
    steps = path.strip().split(".")
    if not equals or not all(step.isidentifier() for step in steps):
        raise ValueError(f'"{text}" is not a field with its values; write scaling.headroomPercent=0,5,10')
    return SweptField(".".join(steps), tuple(map(_value, rest.split(","))))


def _value(text: str) -> Any:
    """As YAML reads it, but for on, off, yes and no: what YAML takes for booleans are names of an enum's members too,
    and a boolean field takes the words as well."""
    value = yaml.safe_load(text)
    return text.strip() if isinstance(value, bool) and text.strip().lower() not in ("true", "false") else value


def candidates(scenario: Scenario, fields: Sequence[SweptField]) -> list[tuple[Settings, Scenario]]:
    """All combinations of the values, each as a scenario of its own. Raises BadReplay where a service does not take
    one."""
    combined = [
        dict(zip((field.path for field in fields), values, strict=True))
        for values in itertools.product(*(field.values for field in fields))
    ]
    if len(combined) > MOST_CANDIDATES:
        raise BadReplay.whole("--sweep", f"comes to {len(combined)} candidates; give at most {MOST_CANDIDATES}")
    return [(settings, _with_settings(scenario, settings)) for settings in combined]


def sweep(
    asked: Sequence[tuple[Settings, Scenario]], tables: Tables, *, workers: int
) -> Iterator[tuple[Settings, PolicyOutcome]]:
    """The outcome of each candidate under Medley, in their order."""
    if workers <= 1 or len(asked) == 1:
        for settings, scenario in asked:
            yield settings, _outcome(scenario, tables)
        return
    with ProcessPoolExecutor(max_workers=min(workers, len(asked)), mp_context=get_context("spawn")) as pool:
        running = [(settings, pool.submit(_outcome, scenario, tables)) for settings, scenario in asked]
        for settings, each in running:
            yield settings, each.result()


def _outcome(scenario: Scenario, tables: Tables) -> PolicyOutcome:
    return medley(Replay(scenario, tables))


def _with_settings(scenario: Scenario, settings: Settings) -> Scenario:
    services = tuple(_changed(service, settings) for service in scenario.own.services)
    return replace(scenario, own=replace(scenario.own, services=services))


def _changed(service: LLMService, settings: Settings) -> LLMService:
    document = service.model_dump(by_alias=True, exclude_none=True)
    for path, value in settings.items():
        *outer, last = path.split(".")
        part = document["spec"]
        for step in outer:
            part = part.setdefault(step, {})
        part[last] = value
    try:
        return LLMService.model_validate(document)
    except ValidationError as error:
        where = f"--sweep, LLMService {service.metadata.namespace}/{service.metadata.name}"
        fault = faults_of(error)[0]
        raise BadReplay(where, fault.field, fault.value, fault.way_out) from None
