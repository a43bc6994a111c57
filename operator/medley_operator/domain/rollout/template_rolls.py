"""Which running variant may get a new pod template now: one of a service at a time, and one of the fleet first.

A changed image, flag or profile replaces all pods of a variant, and may be wrong. So a new RuntimeProfile rolls one
variant of the fleet first, and goes on to others once that one is Ready; within a service one variant follows the
other. Where a template does not become Ready nothing else rolls, and what runs of the old one goes on; a further change
of the same variant is let through, since it may be the cure. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from medley_operator.domain.cluster.children import Owned, RunningVariant, workloads_in
from medley_operator.domain.engine.deployment import STRATEGIES
from medley_operator.domain.engine.template import INPUTS, PROFILE, stamps
from medley_operator.domain.engine.workloads import WORKLOADS, observed
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest, ObjectKey


def is_settled(variant: RunningVariant) -> bool:
    """Whether all its replicas are of the template that it has now, and Ready."""
    return variant.updated >= variant.replicas and variant.ready >= variant.replicas


@dataclass(slots=True)
class Canaries:
    """The RuntimeProfiles, by the hash of what they say of templates, that a variant of the fleet is Ready with
    (`proven`), and those that one rolls to now (`taken`)."""

    proven: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, owned: Owned) -> Canaries:
        """As the Deployments of all services show it."""
        found = cls()
        for own in owned.values():
            for manifest in workloads_in(own).values():
                profile, variant = stamps(manifest).get(PROFILE, ""), observed(manifest)
                if variant.replicas > 0:
                    (found.proven if is_settled(variant) else found.taken).add(profile)
        return found

    def claim(self, profile: str) -> bool:
        """Whether a variant may roll to that profile now; the first that asks is the canary."""
        if profile not in self.proven and profile in self.taken:
            return False
        self.taken.add(profile)
        return True


@dataclass(frozen=True, slots=True)
class Rolled:
    """Manifests with the templates that they may have now, and variants whose new template waits."""

    manifests: tuple[Manifest, ...]
    waiting: tuple[str, ...]


def rolled(
    manifests: Iterable[Manifest],
    own: Mapping[ObjectKey, Manifest],
    running: Collection[RunningVariant],
    canaries: Canaries,
) -> Rolled:
    """`manifests` of one service; Deployments that would roll too early keep the template that they have, and those
    that do not roll the strategy by which they would."""
    wanted = list(manifests)
    changing = {key: manifest for manifest in wanted if _changes(manifest, own.get(key := labels.key_of(manifest)))}
    by_name = {variant.object_name: variant for variant in running}
    busy = {name for name, variant in by_name.items() if variant.replicas > 0 and not is_settled(variant)}
    # What is busy with another template first: the new one may be its cure.
    turn = next(iter(sorted(changing, key=lambda key: (key.name not in busy, key.name))), None)
    if turn is not None and not busy <= {turn.name}:
        turn = None
    if turn is not None and not _may_roll(changing[turn], own[turn], canaries):
        turn = None
    waiting = [key for key in changing if key != turn and by_name.get(key.name) is not None]
    held = {key: _held(changing[key], own[key]) for key in waiting}
    now = {key: held.get(key, manifest) for manifest in wanted if (key := labels.key_of(manifest))}
    return Rolled(
        manifests=tuple(_with_strategy(manifest, own.get(key)) for key, manifest in now.items()),
        waiting=tuple(sorted(by_name[key.name].name for key in waiting)),
    )


def _changes(wanted: Manifest, found: Manifest | None) -> bool:
    """Whether running pods would be replaced because a user changed what their template is made of."""
    if wanted["kind"] not in WORKLOADS or found is None:
        return False
    before = stamps(found).get(INPUTS)
    runs = observed(found).replicas > 0
    return runs and before is not None and before != stamps(wanted).get(INPUTS)


def _may_roll(wanted: Manifest, observed: Manifest, canaries: Canaries) -> bool:
    profile = stamps(wanted).get(PROFILE, "")
    return profile == stamps(observed).get(PROFILE) or canaries.claim(profile)


def _held(wanted: Manifest, observed: Manifest) -> Manifest:
    """The Deployment as it is wanted but for its template."""
    metadata = {**wanted["metadata"], "annotations": stamps(observed)}
    return {**wanted, "metadata": metadata, "spec": {**wanted["spec"], "template": observed["spec"]["template"]}}


def _with_strategy(wanted: Manifest, found: Manifest | None) -> Manifest:
    """With the strategy that it has, where no pod is replaced by it now.

    The strategy follows the room that a pool has left, and the last GPU of a pool may come and go with each pod: all
    Deployments of the pool would be written each time, for nothing. The write that changes a template brings its own.
    """
    if found is None or wanted["kind"] not in WORKLOADS:
        return wanted
    strategy = found["spec"].get("strategy")
    if strategy == wanted["spec"].get("strategy") or strategy not in STRATEGIES.values():
        return wanted
    variant = observed(found)
    if variant.updated < variant.made or stamps(found) != stamps(wanted):
        return wanted
    return {**wanted, "spec": {**wanted["spec"], "strategy": strategy}}
