"""Command line of the engine: what its program and its version take, then what its owners add. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence

from medley_operator.api.v1alpha1 import LLMService, RuntimeProfile
from medley_operator.domain.engine.model_source import engine_location
from medley_operator.domain.engine.programs import PROGRAMS, EngineStart
from medley_operator.domain.values.labels import HTTP_PORT
from medley_planner.layout import EngineKind
from medley_planner.variants import Flags, layout_flags, variant_flags


def reserved_flags(engine: EngineKind) -> frozenset[str]:
    """Flags that no user may set: those that Medley sets, and those that would break what it relies on."""
    program = PROGRAMS[engine]
    return variant_flags(engine) | {flag.name for flag in program.flags} | program.reserved


def flag_of(argument: str) -> str:
    return argument.split("=", 1)[0]


def flags_of(arguments: Iterable[str]) -> Flags:
    """Values by flag, "" for a flag without one, of `--flag=value` as Medley writes them. The last of a flag counts."""
    split = (argument.partition("=") for argument in arguments)
    return {flag: value for flag, _, value in split if flag.startswith("--")}


def user_flags(service: LLMService, profile: RuntimeProfile) -> Flags:
    """The arguments of profile and service, beside those that Medley sets."""
    return flags_of(_user_args(profile.spec.args, service.spec.runtime.args))


def speed_digest(flags: Flags, engine: EngineKind) -> str:
    """A digest of the arguments that may change an engine's speed and that no layout holds; "" where there are none.

    `flags`: all of a container, or its owners' alone: those that Medley sets do not count.
    """
    others = {flag: value for flag, value in flags.items() if flag not in reserved_flags(engine) | layout_flags(engine)}
    text = json.dumps(sorted(others.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:8] if others else ""


def engine_args(service: LLMService, profile: RuntimeProfile, variant_flags: Iterable[tuple[str, str]]) -> list[str]:
    """Arguments behind the program's command, the model first. User arguments come last: the profile's, then the
    service's.

    `variant_flags` are what the variant is started with, as (flag, value).
    """
    spec, runtime = service.spec, profile.spec
    start = EngineStart(
        served_model_name=served_model_name(service),
        port=HTTP_PORT,
        max_model_len=spec.model.max_model_len,
        memory_share=runtime.gpu_memory_utilization_percent / 100,
        max_sequences=runtime.max_sequences,
        drain_seconds=math.ceil(spec.drain.timeout_seconds),
    )
    program, version = PROGRAMS[runtime.engine], version_of(runtime.version)
    known = (flag for flag in program.flags if flag.since is None or version >= flag.since)
    own = [f"{flag.name}={flag.value(start)}" for flag in known]
    own += [f"{flag}={value}" for flag, value in variant_flags]
    if spec.model.source in program.streams:
        own += [f"{flag}={value}" for flag, value in program.stream_flags]
    model = program.model_argument(engine_location(spec.model))
    return [model, *own, *_user_args(runtime.args, spec.runtime.args)]


def _user_args(profile_args: Sequence[str], service_args: Sequence[str]) -> list[str]:
    """The service's argument replaces the profile's of the same flag.

    Kubernetes puts variables of the container in place of $(NAME): the platform may use that in its profile, and a
    tenant must not read the platform's variables by it.
    """
    replaced = {flag_of(argument) for argument in service_args}
    literal = [argument.replace("$", "$$") for argument in service_args]
    return [argument for argument in profile_args if flag_of(argument) not in replaced] + literal


def version_of(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def served_model_name(service: LLMService) -> str:
    return service.spec.model.name or service.metadata.name
