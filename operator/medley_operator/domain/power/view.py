"""The input of one round of the controller of power, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1 import LLMService, MedleyPolicy
from medley_operator.api.v1alpha1.power import NodePowerCap, PowerDomain, PowerEvent
from medley_operator.domain.values.snapshot import InvalidObject
from medley_operator.domain.values.views import NamespaceView, NodeView, PodView
from medley_planner.power import MeterAnswer


@dataclass(frozen=True, slots=True)
class MeterFault:
    """Why a meter gave no answer, in words."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerView:
    """The cluster at one moment, as far as power goes, each kind in the order of its names.

    `rejected`: objects of ours that do not parse.
    """

    domains: Sequence[PowerDomain] = ()
    events: Sequence[PowerEvent] = ()
    caps: Mapping[str, NodePowerCap] = field(default_factory=dict)
    """Keys are names of nodes."""
    nodes: Sequence[NodeView] = ()
    pods: Sequence[PodView] = ()
    services: Sequence[LLMService] = ()
    policies: Sequence[MedleyPolicy] = ()
    namespaces: Mapping[str, NamespaceView] = field(default_factory=dict)
    rejected: Sequence[InvalidObject] = ()


Readings = Mapping[str, MeterAnswer | MeterFault]
"""The answers of meters in this round, by domain."""
