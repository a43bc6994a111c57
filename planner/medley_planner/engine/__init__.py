"""Discrete-event simulation of LLM engines behind a router: what latency a fleet gives on a given load. Pure."""

from medley_planner.engine.live import LiveFleet
from medley_planner.engine.log import EngineState
from medley_planner.engine.outcome import Percentiles, ReplicaUsage, SimulationResult
from medley_planner.engine.routing import Balance, PromptRange, ReplicaGroup, Routing, SimulatedFleet
from medley_planner.engine.simulate import simulate
from medley_planner.engine.spec import EngineSpec, StepSeconds
from medley_planner.engine.speculation import SpeculativeStep
from medley_planner.engine.step_table import StepTable
from medley_planner.engine.trace import Trace, gamma_arrivals, poisson_arrivals

__all__ = [
    "Balance",
    "EngineSpec",
    "EngineState",
    "LiveFleet",
    "Percentiles",
    "PromptRange",
    "ReplicaGroup",
    "ReplicaUsage",
    "Routing",
    "SimulatedFleet",
    "SimulationResult",
    "SpeculativeStep",
    "StepSeconds",
    "StepTable",
    "Trace",
    "gamma_arrivals",
    "poisson_arrivals",
    "simulate",
]
