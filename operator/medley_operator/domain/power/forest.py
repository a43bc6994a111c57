"""The trees that the capping policy is stepped on: one for each mode, of the domains at least as bold. Pure.

A domain is judged in the tree of its own mode, so that one that only logs never caps, and never keeps another one from
capping. A domain that is refused after it was accepted keeps what was accepted last: a change that cannot be used must
not end the protection that was there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from medley_operator.api.v1alpha1.power import PowerDomain, PowerMode
from medley_operator.domain.power.ladders import capped_domain
from medley_operator.domain.power.members import Member
from medley_operator.domain.values.views import selects
from medley_planner.power import CappedDomain, CappedNode, DomainTree, build_tree
from medley_planner.refusal import Refusal

UNKNOWN_BOARD = "UnknownBoard"
_BOLDNESS = tuple(PowerMode)


@dataclass(frozen=True)
class ModeTree:
    """The domains of one mode and of bolder ones. `refused`: what is wrong with the domains as they are given."""

    tree: DomainTree = field(default_factory=lambda: DomainTree({}))
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    given: tuple[CappedDomain, ...] = ()
    accepted: Mapping[str, CappedDomain] = field(default_factory=dict)
    """As each domain was accepted last."""

    @cached_property
    def nodes(self) -> Mapping[str, tuple[CappedNode, ...]]:
        """The nodes of each domain and of those below it."""
        return {name: self.tree.nodes_of(name) for name in self.tree.domains}


Forest = Mapping[PowerMode, ModeTree]


def grow(domains: Iterable[PowerDomain], members: Mapping[str, Member], last: Forest) -> Forest:
    """The trees of all modes in use. Where nothing changed, the tree is the object that it was."""
    domains = tuple(domains)
    fed = {domain.metadata.name: fed_by(domain, members) for domain in domains}
    modes = [mode for mode in _BOLDNESS if any(domain.spec.mode is mode for domain in domains)]
    return {mode: _tree(_at_least(domains, mode), domains, fed, last.get(mode, ModeTree())) for mode in modes}


def fed_by(domain: PowerDomain, members: Mapping[str, Member]) -> tuple[Member, ...]:
    """The nodes that a domain selects itself."""
    selector = domain.spec.node_selector
    if not selector:
        return ()
    return tuple(member for member in members.values() if selects(selector, member.labels))


def _at_least(domains: Iterable[PowerDomain], mode: PowerMode) -> list[PowerDomain]:
    bold = _BOLDNESS[_BOLDNESS.index(mode) :]
    return [domain for domain in domains if domain.spec.mode in bold]


def _tree(
    chosen: Iterable[PowerDomain],
    everyone: Iterable[PowerDomain],
    fed: Mapping[str, tuple[Member, ...]],
    last: ModeTree,
) -> ModeTree:
    names = {domain.metadata.name for domain in chosen}
    parents = {domain.metadata.name: domain.spec.parent for domain in everyone}
    nodes = {name: list(_capped(domain, fed)) for domain in everyone if (name := domain.metadata.name) in names}
    taken = {node.name for own in nodes.values() for node in own}
    for domain in everyone:
        # The nodes of a domain that is not in this tree hang on the nearest one above it that is.
        above = _nearest(domain, names, parents)
        if domain.metadata.name not in names and above in names:
            nodes[above] += [node for node in _capped(domain, fed) if node.name not in taken]
    given = tuple(
        capped_domain(domain, parent=_nearest(domain, names, parents), nodes=nodes[domain.metadata.name])
        for domain in chosen
    )
    if given == last.given:
        return last
    tree = build_tree(given)
    refused = {**tree.refused, **{name: why for name in names if (why := _unknown(name, fed[name])) is not None}}
    if refused:
        tree = _without(given, refused, last.accepted)
    accepted = {name: domain for name, domain in tree.domains.items() if name not in tree.refused}
    return ModeTree(tree, refused, given, accepted)


def _capped(domain: PowerDomain, fed: Mapping[str, tuple[Member, ...]]) -> Iterator[CappedNode]:
    watts = float(domain.spec.non_gpu_watts or 0)
    return (member.capped(watts) for member in fed[domain.metadata.name])


def _without(
    given: Iterable[CappedDomain], refused: Mapping[str, Refusal], accepted: Mapping[str, CappedDomain]
) -> DomainTree:
    """The tree with what was accepted last in place of what is refused. What never was accepted feeds no node in it, so
    that it takes none from another domain, and stays refused."""
    never = {name: why for name, why in refused.items() if name not in accepted}
    chosen = [accepted.get(each.name, each) if each.name in refused else each for each in given]
    tree = build_tree(replace(each, nodes=()) if each.name in never else each for each in chosen)
    return replace(tree, refused={**tree.refused, **never})


def _nearest(domain: PowerDomain, names: set[str], parents: Mapping[str, str | None]) -> str | None:
    """The nearest domain above that is in this tree; a name that no domain has stays, for the checks to refuse."""
    passed = {domain.metadata.name}
    above = domain.spec.parent
    while above is not None and above not in names and above in parents and above not in passed:
        passed.add(above)
        above = parents[above]
    return above


def _unknown(name: str, members: Iterable[Member]) -> Refusal | None:
    found = next((member.unknown for member in members if member.unknown), "")
    if not found:
        return None
    way_out = "run the agent there, or label the node with its GPU product as GPU feature discovery does"
    return Refusal(UNKNOWN_BOARD, f"power domain {name}: {found}, so that its watts cannot be counted; {way_out}")
