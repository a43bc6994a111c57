"""The scenario of `medley replay`: objects from manifests, requests from traces and options, and the world around them.

Reads trace files.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medley_operator.cli.manifests import Objects
from medley_operator.cli.plan import default_profile
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.replay.arrivals import made_up, rate_curve, request_sizes, with_sizes_of
from medley_operator.replay.bad_replay import BadReplay
from medley_operator.replay.faults import WorldFault, fault_of
from medley_operator.replay.objects import OwnObjects
from medley_operator.replay.scenario import Scenario, with_first_load
from medley_operator.replay.settings import WorldSettings
from medley_planner.cli.arguments import BadOption
from medley_planner.cli.trace_file import read_trace
from medley_planner.engine import Trace


def scenario_of(objects: Objects, args: argparse.Namespace) -> Scenario:
    """Raises `BadInput`."""

    if not objects.services:
        raise BadReplay.whole("", "the input has no LLMService; add its file with -f")
    profiles = tuple(objects.profiles) or (default_profile(),)
    own = OwnObjects(
        services=tuple(objects.services),
        pools=tuple(objects.pools),
        profiles=profiles,
        model_profiles=tuple(objects.model_profiles),
        policies=tuple(objects.policies),
        gpu_types=tuple(objects.gpu_types),
        power_domains=tuple(objects.power_domains),
        power_events=tuple(objects.power_events),
    )
    keys = [ServiceKey.of(service) for service in own.services]
    settings = WorldSettings(
        startup_seconds=args.startup[""],
        pool_startups=_startups(own, args.startup),
        startup_spread=args.startup_spread,
        node_seconds=args.node_time,
        step_factors=args.step_factor,
        calibrates=args.calibration == "on",
        seed=args.seed,
    )
    return with_first_load(Scenario(own, _traces(keys, args), settings, faults=_faults(own, args.fault)))


def _startups(own: OwnObjects, given: Mapping[str, float]) -> dict[str, float]:
    """Those of pools by name."""
    names = [pool.metadata.name for pool in own.pools]
    for pool in given:
        if pool and pool not in names:
            raise BadOption("", "--startup", pool, f"there is no GPUPool {pool} in the input ({', '.join(names)})")
    return {pool: seconds for pool, seconds in given.items() if pool}


def _faults(own: OwnObjects, texts: list[str]) -> tuple[WorldFault, ...]:

    found = tuple(parsed("--fault", text, fault_of) for text in texts)
    names = [pool.metadata.name for pool in own.pools]
    for text, fault in zip(texts, found, strict=True):
        if fault.pool and fault.pool not in names:
            raise BadOption("", "--fault", text, f"there is no GPUPool {fault.pool} in the input ({', '.join(names)})")
    return found


def _traces(keys: list[ServiceKey], args: argparse.Namespace) -> dict[ServiceKey, Trace]:

    files, loads, sizes = (_by_service(name, getattr(args, name), keys) for name in ("trace", "load", "sizes"))
    traces: dict[ServiceKey, Trace] = {}
    for number, key in enumerate(keys):
        source = read_trace(Path(files[key])) if key in files else None
        if key not in loads:
            if source is None:
                raise BadOption.whole("", f"LLMService {key.problem_name} has no requests; give --trace or --load")
            if source.arrival_seconds[-1] <= 0.0:
                way_out = "all of its requests arrive at one moment, which is not a load over time; give a longer trace"
                raise BadOption("", "--trace", files[key], way_out)
            traces[key] = source
            continue
        even = {"seed": args.seed + number, "noise": args.noise, "poisson": args.arrivals == "poisson"}
        curve = parsed("--load", loads[key], rate_curve)
        if source is not None:
            traces[key] = with_sizes_of(curve, source, **even)
        elif key in sizes:
            asked = parsed("--sizes", sizes[key], lambda text: request_sizes(text, spread=args.spread))
            traces[key] = made_up(curve, asked, **even)
        else:
            raise BadOption.whole("", f"LLMService {key.problem_name} has --load but no sizes; give --sizes or --trace")
    return traces


def parsed(option: str, text: str, parse: Callable[[str], Any]) -> Any:
    """The value that `parse` makes of the text. Raises BadOption where it raises ValueError."""
    try:
        return parse(text)
    except ValueError as error:
        raise BadOption("", option, text, str(error)) from None


def _by_service(name: str, given: list[str], keys: list[ServiceKey]) -> dict[ServiceKey, str]:
    """Each value for the service that stands before it, or for all of them."""
    found: dict[ServiceKey, str] = {}
    for text in given:
        before, equals, rest = text.partition("=")
        mine = [key for key in keys if equals and before in (key.name, key.problem_name)]
        if not mine and equals and name != "trace":
            names = ", ".join(key.problem_name for key in keys)
            raise BadOption("", f"--{name}", text, f"there is no LLMService {before} in the input ({names})")
        for key in mine or keys:
            found[key] = rest if mine else text
    return found
