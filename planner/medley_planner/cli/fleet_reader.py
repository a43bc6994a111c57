"""A fleet document as a problem, with the services that had to be left out and why.

A service that is malformed does not stop the others; what all of them share does. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.cli.document import BadDocument
from medley_planner.cli.fleet_demand import service_from
from medley_planner.cli.fleet_document import PoolDocument, ServiceDocument, SharedDocument
from medley_planner.documents import can_be_printed
from medley_planner.model import NodePrice, Pool, PowerBudget, Problem
from medley_planner.optimize.validate.problem import InvalidProblem, split_valid
from medley_planner.schema_faults import faults_of


@dataclass(frozen=True, slots=True)
class RefusedService:
    """A service that is not planned. `index` is its place in the document, `name` None where it has no usable one."""

    index: int
    name: str | None
    fault: BadInput


@dataclass(frozen=True, slots=True)
class FleetInput:
    """The problem of the services that can be planned; `places[i]` is where its service i stands in the document."""

    problem: Problem
    places: tuple[int, ...]
    rejected: tuple[RefusedService, ...]

    def also_rejected(self, messages: Mapping[str, str]) -> FleetInput:
        """With services that the planner itself refuses, by name, and why."""
        places = zip(self.problem.services, self.places, strict=True)
        found = [
            RefusedService(
                place, service.name, BadInput.whole(f"services[{place}]{_quoted(service.name)}", messages[service.name])
            )
            for service, place in places
            if service.name in messages
        ]
        return replace(self, rejected=tuple(sorted((*self.rejected, *found), key=lambda one: one.index)))


def parse_fleet(document: Mapping[str, Any]) -> FleetInput:
    """Raises `BadDocument` and `InvalidProblem` where pools, power domains or the document's own fields are at fault,
    and `BadDocument` where no service is without a fault."""
    shared = _shared({name: value for name, value in document.items() if name != "services"})
    pools = {pool.name: pool for pool in shared.pools}
    services = document.get("services")
    if not isinstance(services, list) or not services:
        raise BadDocument("", "services", document.get("services", MISSING), "give a list of at least one service")
    read = {}
    rejected: list[RefusedService] = []
    for index, entry in enumerate(services):
        try:
            read[index] = service_from(
                ServiceDocument.model_validate(entry), pools, horizon_seconds=shared.horizon_seconds
            )
        except ValidationError as error:
            rejected.append(_refused(index, entry, faults_of(error)[0]))
        except BadInput as error:
            rejected.append(_refused(index, entry, error))
    problem = Problem(
        services=tuple(read.values()),
        pools=tuple(_pool(pool) for pool in shared.pools),
        power_domains=tuple(
            PowerBudget(domain.name, domain.budget_watts, domain.parent) for domain in shared.power_domains
        ),
        steady_within=shared.steady_within,
    )
    valid, faults = split_valid(problem)
    places = list(read)
    for invalid in faults:
        if invalid.service is None:
            raise AssertionError(f"a fault that splits off a service names it: {invalid}")
        index = places[invalid.service]
        rejected.append(_refused(index, services[index], _in_document(invalid, services[index])))
    rejected.sort(key=lambda one: one.index)
    out = {one.index for one in rejected}
    if not valid.services:
        raise _all_refused([one.fault for one in rejected])
    return FleetInput(valid, tuple(index for index in places if index not in out), tuple(rejected))


def _refused(index: int, entry: object, fault: BadInput) -> RefusedService:
    name = _name(entry)
    return RefusedService(index, name, fault.within(f"services[{index}]{'' if name is None else _quoted(name)}"))


def _all_refused(faults: Sequence[BadInput]) -> BadDocument:
    first, *others = faults
    error = BadDocument(first.where, first.field, first.value, first.way_out)
    error.also = tuple(others)
    return error


def _shared(document: Mapping[str, Any]) -> SharedDocument:
    try:
        shared = SharedDocument.model_validate(document)
    except ValidationError as error:
        fault = faults_of(error)[0]
        raise BadDocument("", fault.field, fault.value, fault.way_out) from error
    if not 0 < shared.horizon_seconds < math.inf:
        raise BadDocument("problem", "horizon_seconds", shared.horizon_seconds, "give a finite number above 0")
    for index, pool in enumerate(shared.pools):
        contradiction = _contradiction(pool)
        if contradiction is not None:
            raise contradiction.within(f"pools[{index}]{_quoted(pool.name)}")
    return shared


def _contradiction(pool: PoolDocument) -> BadDocument | None:
    """Two ways to say one thing."""
    for one, others in (("nodes", ("node_gpus", "node_price")), ("node_price", ("node_gpus", "gpu_cost_per_hour"))):
        for other in others:
            value = getattr(pool, other)
            if getattr(pool, one) is not None and value is not None:
                plain = value.model_dump() if hasattr(value, "model_dump") else value
                return BadDocument("", other, plain, f"{one} is given as well; leave one of them out")
    return None


def _pool(document: PoolDocument) -> Pool:
    nodes = tuple(document.node_gpus) if document.node_gpus is not None else None
    if document.nodes is not None:
        nodes = (document.nodes.gpus,) * document.nodes.count
    stock = document.stock_gpus
    if stock is None and nodes is not None and all(gpus >= 0 for gpus in nodes):
        stock = sum(nodes)
    price = document.node_price
    return Pool(
        name=document.name,
        stock_gpus=stock,
        node_gpus=nodes,
        node_price=None if price is None else NodePrice(price.gpus, price.cost_per_hour, price.max_nodes),
        spot=document.spot,
        zones=tuple(document.zones),
        power_domain=document.power_domain,
    )


def _in_document(fault: InvalidProblem, service: Mapping[str, Any]) -> BadInput:
    """The planner's fault by its path in the service's document, where grids and lists of sizes are told apart."""
    demand = service["demand"]
    if fault.where == "problem":
        return BadInput("", "name", fault.value, fault.way_out)
    field = fault.field if fault.variant is None else f"variants[{fault.variant}].{fault.field}"
    if fault.variant is not None and fault.field == "variants":
        field = f"variants[{fault.variant}].name"
    columns = len(demand["generation_tokens"]) if demand.get("sizes") is None else 0
    found = re.fullmatch(r"(demand\.shares|demand\.buckets|variants\[\d+\]\.capacity_rps)\[(\d+)\](.*)", field)
    if found:
        owner, bucket, rest = found[1], int(found[2]), found[3]
        if owner == "demand.buckets":
            place = bucket // columns if columns and rest == ".prompt_tokens" else bucket % max(columns, 1)
            field = f"demand{rest}[{place}]" if columns else f"demand.sizes[{bucket}]{rest}"
        elif owner == "demand.shares" and not columns:
            field = f"demand.sizes[{bucket}].share"
        else:
            table = demand["shares"] if owner == "demand.shares" else _capacity(service, fault)
            nested = bool(table) and isinstance(table[0], list)
            field = f"{owner}[{bucket // columns}][{bucket % columns}]" if nested else field
    return BadInput("", field, fault.value, fault.way_out)


def _capacity(service: Mapping[str, Any], fault: InvalidProblem) -> Any:
    return service["variants"][fault.variant or 0]["capacity_rps"]


def _name(entry: object) -> str | None:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) and can_be_printed(name) else None


def _quoted(name: str) -> str:
    return f' "{name}"'
