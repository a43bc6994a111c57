"""The judgement of a `ModelProfile`, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.api.v1alpha1 import ModelProfile
from medley_operator.domain.values.conditions import Draft
from medley_planner.capacity import EngineKey, Speed
from medley_planner.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Known:
    """The content of an accepted profile. `error` is the mean relative error of TPOT, as a share; `note` is for
    people."""

    key: EngineKey
    speed: Speed
    error: float
    points_used: int = 0
    points_refused: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A profile, what it says, and its conditions. `counts`: it is what is known of its engine. `users`: the
    LLMServices that may run that engine, if they can be planned."""

    profile: ModelProfile
    known: Known | Refusal
    counts: bool
    accepted: Draft
    in_use: Draft
    users: tuple[str, ...] = ()
