"""Where the pods of a variant prefer to stand: packed beside others, and those on spot nodes apart from their own."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.domain.engine.template import kept_template
from medley_operator.domain.values.snapshot import Manifest
from tests.unit.operator import factories as make
from tests.unit.operator.domain.engine.test_deployment import deployment, pod
from tests.unit.operator.domain.engine.test_template import REPLICA, by_an_older_medley

PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
HOST = "kubernetes.io/hostname"
SPOT = make.pool(provisioning="Spot")


def placed(gpus: int = 2, **overrides: Any) -> Manifest:
    return pod(deployment(gpus_per_replica=gpus, **overrides))


def spread_over(made: Manifest) -> list[str]:
    assert all(each["whenUnsatisfiable"] == "ScheduleAnyway" for each in made["topologySpreadConstraints"])
    return [each["topologyKey"] for each in made["topologySpreadConstraints"]]


def test_small_replicas_go_where_their_pool_has_pods_of_their_namespace() -> None:
    affinity = placed()["affinity"]
    assert set(affinity) == {"podAffinity"}
    assert set(affinity["podAffinity"]) == {PREFERRED}
    (preferred,) = affinity["podAffinity"][PREFERRED]
    term = preferred["podAffinityTerm"]
    assert term["topologyKey"] == HOST
    assert term["labelSelector"]["matchLabels"]["medley.dev/pool"] == "l4"
    # A quota of the scope CrossNamespacePodAffinity refuses pods with either of these.
    assert not {"namespaces", "namespaceSelector"} & set(term)
    assert spread_over(placed()) == ["topology.kubernetes.io/zone"]
    assert "affinity" not in placed(4)


def test_spot_replicas_of_one_service_stand_apart_and_beside_those_of_others() -> None:
    """One reclaim of a node took all replicas of a service."""
    made = placed(pool=SPOT)
    assert set(made["affinity"]) == {"podAffinity", "podAntiAffinity"}
    (beside,), (apart,) = made["affinity"]["podAffinity"][PREFERRED], made["affinity"]["podAntiAffinity"][PREFERRED]
    own = {"medley.dev/service": "llama", "app.kubernetes.io/managed-by": "medley"}
    assert own.items() <= apart["podAffinityTerm"]["labelSelector"]["matchLabels"].items()
    # Replicas of all variants of the service, since a node may hold several.
    assert "medley.dev/variant" not in apart["podAffinityTerm"]["labelSelector"]["matchLabels"]
    assert apart["podAffinityTerm"]["topologyKey"] == HOST
    assert not {"namespaces", "namespaceSelector"} & set(apart["podAffinityTerm"])
    # One of its own on a node weighs more than those of others, which the other term counts it with.
    assert apart["weight"] > 2 * beside["weight"]
    assert spread_over(made) == ["topology.kubernetes.io/zone", HOST]


@pytest.mark.parametrize(
    ("gpus", "pool"),
    [(4, SPOT), (2, make.pool(provisioning="Spot", cost={"perNodeHour": "4"}))],
    ids=["whole nodes are apart anyway", "a node that is paid whole is filled"],
)
def test_where_spot_replicas_are_not_spread(gpus: int, pool: Any) -> None:
    made = placed(gpus, pool=pool)
    assert "podAntiAffinity" not in made.get("affinity", {})
    assert HOST not in spread_over(made)


def test_what_the_platform_wants_apart_is_added() -> None:
    overlay: dict[str, Any] = {"pod": {"podAntiAffinity": [{"weight": 9, "topologyKey": "rack"}]}}
    terms = placed(pool=SPOT, profile=make.profile(**overlay))["affinity"]["podAntiAffinity"][PREFERRED]
    assert [each["podAffinityTerm"]["topologyKey"] for each in terms] == [HOST, "rack"]


def test_running_spot_replicas_are_not_replaced_to_stand_apart() -> None:
    """Neither by an upgrade of the operator, nor because a pool is called a spot pool from now on."""
    wanted = deployment(replica=REPLICA, pool=SPOT, gpus_per_replica=2)

    def packed(template: Manifest) -> None:
        del template["spec"]["affinity"]["podAntiAffinity"]
        del template["spec"]["topologySpreadConstraints"][1]

    older = by_an_older_medley(wanted, packed)
    assert kept_template(older, wanted)["spec"]["template"] == older["spec"]["template"]
    before = deployment(replica=REPLICA, gpus_per_replica=2)
    assert before["spec"]["template"] != wanted["spec"]["template"]
    assert kept_template(before, wanted)["spec"]["template"] == before["spec"]["template"]
    image = make.profile(image="vllm/vllm-openai:v0.32.1")
    changed = deployment(replica=REPLICA, pool=SPOT, gpus_per_replica=2, profile=image)
    assert "podAntiAffinity" in kept_template(older, changed)["spec"]["template"]["spec"]["affinity"]
