"""The checks of what services share: pools, power domains, quotas. What is wrong there stops all planning."""

from __future__ import annotations

from collections.abc import Iterable

from medley_planner.bad_input import BadInput
from medley_planner.model import Pool, PowerBudget, Problem, Quota
from medley_planner.optimize.validate.ranges import LEAST_PRICE, MOST, MOST_PRICE, is_count, is_price, is_quantity

PRICE_WANTED = f"give a price above 0 US dollars per hour ({LEAST_PRICE:g} to {MOST_PRICE:g})"


class InvalidProblem(BadInput):
    """A value that no plan can be made from. `where` is the service, variant or pool.

    `service` and `variant` are the indices of those at fault in the problem and in the service; None where it is not
    theirs.
    """

    service: int | None = None
    variant: int | None = None


def check_shared(problem: Problem) -> None:
    """Raises `InvalidProblem` for the first pool, power domain or quota that is out of its range."""
    _check_unique("problem", "pools", [pool.name for pool in problem.pools])
    _check_unique("problem", "power_domains", [domain.name for domain in problem.power_domains])
    _check_unique("problem", "quotas", [quota.name for quota in problem.quotas])
    for quota in problem.quotas:
        _check_quota(quota)
    domains = {domain.name: domain for domain in problem.power_domains}
    for domain in problem.power_domains:
        _check_domain(domain, domains)
    for pool in problem.pools:
        _check_pool(pool, domains)
    if not 0 <= problem.steady_within <= 1:
        raise InvalidProblem("problem", "steady_within", problem.steady_within, "give a part from 0 to 1")


def _check_domain(domain: PowerBudget, domains: dict[str, PowerBudget]) -> None:
    owner = f"power domain {domain.name}"
    if not is_quantity(domain.budget_watts):
        raise InvalidProblem(owner, "budget_watts", domain.budget_watts, "give a finite number, 0 or more")
    above, passed = domain.parent, {domain.name}
    while above is not None:
        if above not in domains:
            raise InvalidProblem(
                owner, "parent", above, f"there is no such power domain; the problem has: {_listed(domains)}"
            )
        if above in passed:
            way_out = "it is below the domain itself; let one of them have no parent"
            raise InvalidProblem(owner, "parent", domain.parent, way_out)
        passed.add(above)
        above = domains[above].parent


def _check_quota(quota: Quota) -> None:
    owner = f"quota {quota.name}"
    if quota.max_gpus is not None:
        _check_count(owner, "max_gpus", quota.max_gpus, least=0)
    if quota.max_cost_per_hour is not None and not is_quantity(quota.max_cost_per_hour):
        raise InvalidProblem(
            owner, "max_cost_per_hour", quota.max_cost_per_hour, "give US dollars per hour, a finite number, 0 or more"
        )


def _check_pool(pool: Pool, domains: dict[str, PowerBudget]) -> None:
    owner = f"pool {pool.name}"
    if pool.stock_gpus is not None:
        _check_count(owner, "stock_gpus", pool.stock_gpus, least=0)
    nodes = pool.node_gpus or ()
    if not all(is_count(gpus, least=0) for gpus in set(nodes)):
        for index, gpus in enumerate(nodes):
            _check_count(owner, f"node_gpus[{index}]", gpus, least=0)
    price = pool.node_price
    if price is not None:
        if pool.node_gpus is not None:
            raise InvalidProblem(
                owner, "node_gpus", pool.node_gpus, "a pool with a node_price has no other nodes; leave one of them out"
            )
        _check_count(owner, "node_price.gpus", price.gpus, least=1)
        if not is_price(price.cost_per_hour):
            raise InvalidProblem(owner, "node_price.cost_per_hour", price.cost_per_hour, PRICE_WANTED)
        if price.max_nodes is not None:
            _check_count(owner, "node_price.max_nodes", price.max_nodes, least=0)
    _check_unique(owner, "zones", pool.zones)
    if pool.power_domain is not None and pool.power_domain not in domains:
        message = f"there is no such power domain; the problem has: {_listed(domains)}"
        raise InvalidProblem(owner, "power_domain", pool.power_domain, message)


def _check_count(owner: str, field: str, value: int, *, least: int) -> None:
    if not is_count(value, least=least):
        raise InvalidProblem(owner, field, value, f"give a whole number, {least} or more (at most {MOST:g})")


def _check_unique(owner: str, field: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidProblem(owner, field, name, "the name is used twice; give each a different name")
        seen.add(name)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
