"""The generated CRDs on a real API server: each limit accepts and rejects what it should, and nothing is lost."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from medley_operator.api.structural import RULES_KEY
from medley_operator.api.v1alpha1 import (
    API_VERSION,
    GROUP,
    KINDS,
    VERSION,
    BestSingleStatus,
    Condition,
    GPUPool,
    GPUPoolStatus,
    GPUType,
    GPUTypeStatus,
    Kind,
    LimitStatus,
    LLMService,
    LLMServiceStatus,
    LoadStatus,
    MedleyPolicy,
    MedleyPolicyStatus,
    ModelProfile,
    ModelProfileStatus,
    ObservedModel,
    PlanStateStatus,
    RoutingSavingsStatus,
    RuntimeProfile,
    RuntimeProfileStatus,
    UnservedStatus,
    UnusedStatus,
    VariantStatus,
)
from medley_operator.api.v1alpha1.power import (
    GpuPowerStatus,
    NodePowerCap,
    NodePowerCapStatus,
    PowerDomain,
    PowerDomainStatus,
    PowerEvent,
    PowerEventStatus,
)
from tests.contract.apiserver import Api
from tests.contract.crd_cases import (
    EXCLUDED,
    FULL,
    KIND,
    MINIMAL,
    PATTERNS,
    RULES,
    Leaf,
    Object,
    bound_case,
    changed,
    leaves,
    obj,
)

pytestmark = pytest.mark.contract

ALL_LEAVES = [leaf for kind in KIND for leaf in leaves(kind)]
BOUNDS = [leaf for leaf in ALL_LEAVES if leaf.keyword not in ("pattern", RULES_KEY)]
Own = LLMService | GPUPool | RuntimeProfile | ModelProfile | MedleyPolicy | GPUType
Model = Own | PowerDomain | NodePowerCap | PowerEvent
MODELS: dict[str, type[Model]] = {
    "LLMService": LLMService,
    "GPUPool": GPUPool,
    "RuntimeProfile": RuntimeProfile,
    "ModelProfile": ModelProfile,
    "MedleyPolicy": MedleyPolicy,
    "GPUType": GPUType,
    "PowerDomain": PowerDomain,
    "NodePowerCap": NodePowerCap,
    "PowerEvent": PowerEvent,
}
CONDITION = Condition(
    type="Ready", status="True", reason="Serving", message="1 of 1", last_transition_time="2026-01-01T00:00:00Z"
)
STATUSES: dict[str, ObservedModel] = {
    "GPUType": GPUTypeStatus(observed_generation=1, conditions=[CONDITION]),
    "LLMService": LLMServiceStatus(
        observed_generation=1,
        mix="l4:1/1",
        desired_replicas=1,
        ready_replicas=1,
        cost_per_hour="0.805",
        url="http://case.default.svc:8000",
        load=LoadStatus(source="Static", requests_per_second="2", prompt_tokens=1, size_source="Static"),
        variants=[VariantStatus(name="l4", pool="l4", gpu="L4")],
        plan=PlanStateStatus(
            id="1",
            state="Optimal",
            cost_per_hour="0.805",
            lower_bound_per_hour="0.805",
            gap="0",
            best_single=BestSingleStatus(variant="l4", replicas=1, cost_per_hour="0.805"),
            savings_percent="0",
            routing_savings=RoutingSavingsStatus(mode="HTTPRoute", saves_per_hour="1.20"),
            cost_per_million_tokens="0.1084",
            limits=[
                LimitStatus(kind="Stock", name="l4", used=16, limit=16),
                LimitStatus(kind="Slots", name="h100", size=8, used=1, limit=1, saves_per_hour="12.3000"),
                LimitStatus(kind="Power", name="row-1", used=7200, limit=7250, saves_per_hour="0.0098"),
            ],
            unused=[UnusedStatus(variant="h100", reason="Dearer", message="m")],
            unserved=[
                UnservedStatus(prompt_tokens=1, generation_tokens=1, requests_per_second="1", reason="r", limits=["l4"])
            ],
        ),
        conditions=[CONDITION],
    ),
    "GPUPool": GPUPoolStatus(
        observed_generation=1, ready_nodes=2, stock_gpus=16, planned_gpus=3, planned_nodes=2, conditions=[CONDITION]
    ),
    "RuntimeProfile": RuntimeProfileStatus(observed_generation=1, conditions=[CONDITION]),
    "ModelProfile": ModelProfileStatus(
        observed_generation=1,
        fixed="1.100",
        compute="1.000",
        sequence="1.000",
        kv="0.900",
        error_percent="3.1",
        derate="0.950",
        points_used=3,
        points_refused=1,
        conditions=[CONDITION],
    ),
    "MedleyPolicy": MedleyPolicyStatus(observed_generation=1, namespaces=2, services=5, conditions=[CONDITION]),
    "PowerDomain": PowerDomainStatus(
        observed_generation=1,
        level=1,
        reason="Raised",
        since="2026-01-01T00:00:00Z",
        watts=9000,
        budget_watts=10000,
        headroom_watts=1000,
        nodes=2,
        gpus=16,
        capped_gpus=8,
        derived_second_entry="0.905",
        conditions=[CONDITION],
    ),
    "NodePowerCap": NodePowerCapStatus(
        observed_generation=1,
        observed_revision=7,
        state="Enforcing",
        gpus=[
            GpuPowerStatus(
                uuid="GPU-0a",
                product="NVIDIA H100 80GB HBM3",
                state="Limited",
                min_cap_watts=200,
                max_cap_watts=700,
                default_cap_watts=700,
                max_clock_mhz=1980,
                requested_watts=600,
                enforced_watts=500,
                requested_clock_mhz=1785,
                enforced_clock_mhz=1785,
                watts=431,
                reasons=["SwPowerCap"],
                pods=["default/chat-0"],
                applied_at="2026-01-01T00:00:00Z",
            )
        ],
        capped_gpus=1,
        conditions=[CONDITION],
    ),
    "PowerEvent": PowerEventStatus(
        observed_generation=1,
        phase="Active",
        target_watts=9000,
        drawn_watts=9600,
        shortfall_watts=0,
        met_at="2026-01-01T00:00:00Z",
        conditions=[CONDITION],
    ),
}


def path_of(kind: str, name: str = "") -> str:
    """Path of the collection of `kind` (in namespace default), or of an object in it."""
    scope = "namespaces/default/" if KIND[kind].namespaced else ""
    return f"/apis/{GROUP}/{VERSION}/{scope}{KIND[kind].plural}" + (f"/{name}" if name else "")


def create(api: Api, thing: Object, *, dry_run: bool = True) -> tuple[int, Object]:
    query = "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
    return api.request("POST", path_of(thing["kind"]) + query, thing)


def assert_accepted(api: Api, thing: Object) -> None:
    status, answer = create(api, thing)
    assert status == 201, answer["message"]


def assert_rejected(api: Api, thing: Object, fragment: str) -> None:
    status, answer = create(api, thing)
    assert status in (400, 422), f"accepted: {json.dumps(thing)}"
    assert fragment in answer["message"]


def identity(value: object) -> str:
    return f"{value.kind}-{value.path}-{value.keyword}" if isinstance(value, Leaf) else str(value)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
def test_crd_is_established_and_structural(crds: Api, kind: Kind) -> None:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.{GROUP}"
    _, answer = crds.request("GET", path)
    conditions = {c["type"]: c["status"] for c in answer["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"


@pytest.mark.parametrize("kind", KIND)
def test_object_with_every_field_is_kept_whole(crds: Api, kind: str) -> None:
    status, answer = create(crds, obj(kind, FULL[kind]))
    assert status == 201, answer["message"]
    assert answer["spec"] == FULL[kind]
    read = MODELS[kind].model_validate(answer).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert read["spec"] == FULL[kind]


@pytest.mark.parametrize("kind", KIND)
def test_server_fills_in_the_defaults_of_the_models(crds: Api, kind: str) -> None:
    minimal = obj(kind, MINIMAL[kind])
    _, answer = create(crds, minimal)
    wanted = MODELS[kind].model_validate(minimal).model_dump(mode="json", by_alias=True, exclude_none=True)["spec"]
    assert without_empty(answer["spec"]) == without_empty(wanted)
    assert MODELS[kind].model_validate(answer).spec == MODELS[kind].model_validate(minimal).spec


def without_empty(value: Any) -> Any:
    """Absent lists and maps stay absent: an empty one says the same."""
    if isinstance(value, dict):
        filled = {k: without_empty(v) for k, v in value.items()}
        return {k: v for k, v in filled.items() if v not in ([], {})}
    return value


@pytest.mark.parametrize("leaf", BOUNDS, ids=identity)
def test_bound(crds: Api, leaf: Leaf) -> None:
    full = changed(obj(leaf.kind, FULL[leaf.kind]), EXCLUDED.get((leaf.kind, leaf.path), {}))
    accepted, rejected, fragment = bound_case(leaf)
    for change in accepted:
        assert_accepted(crds, changed(full, change))
    assert_rejected(crds, changed(full, rejected), fragment)


@pytest.mark.parametrize(("kind", "path"), PATTERNS, ids=identity)
def test_pattern(crds: Api, kind: str, path: str) -> None:
    full = changed(obj(kind, FULL[kind]), EXCLUDED.get((kind, path), {}))
    accepted, rejected = PATTERNS[kind, path]
    for value in accepted:
        assert_accepted(crds, changed(full, {path: value}))
    for value in rejected:
        assert_rejected(crds, changed(full, {path: value}), "should match")


@pytest.mark.parametrize(("kind", "path", "message"), RULES, ids=identity)
def test_rule(crds: Api, kind: str, path: str, message: str) -> None:
    full = obj(kind, FULL[kind])
    accepted, rejected = RULES[kind, path, message]
    for change in accepted:
        assert_accepted(crds, changed(full, change))
    for change in rejected:
        assert_rejected(crds, changed(full, change), message)


def test_models_refuse_what_the_server_refuses() -> None:
    for (kind, _, message), (accepted, rejected) in RULES.items():
        full = obj(kind, FULL[kind])
        for change in accepted:
            MODELS[kind].model_validate(changed(full, change))
        for change in rejected:
            with pytest.raises(ValueError, match="match pattern" if message.startswith("each key") else message):
                MODELS[kind].model_validate(changed(full, change))


def test_every_pattern_and_rule_has_a_case() -> None:
    patterns = {(leaf.kind, leaf.path) for leaf in ALL_LEAVES if leaf.keyword == "pattern"}
    assert set(PATTERNS) == patterns
    assert all(accepted and rejected for accepted, rejected in [*PATTERNS.values(), *RULES.values()])
    rules = {(leaf.kind, leaf.path, leaf.bound) for leaf in ALL_LEAVES if leaf.keyword == RULES_KEY}
    tested = {rule for rule in rules for (kind, path, part) in RULES if rule[:2] == (kind, path) and part in rule[2]}
    assert tested == rules
    assert len(RULES) == len(rules)


def test_every_field_is_set_in_the_full_objects() -> None:
    for leaf in ALL_LEAVES:
        if leaf.path != "(root)":
            full = changed(obj(leaf.kind, FULL[leaf.kind]), EXCLUDED.get((leaf.kind, leaf.path), {}))
            changed(full, {leaf.path: None})


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("LLMService", {"spec.podTemplate": {}}, "spec.podTemplate"),
        ("LLMService", {"spec.slo.ttfT": "1s"}, "spec.slo.ttfT"),
        ("GPUPool", {"spec.capacity.gpus": 1}, "spec.capacity.gpus"),
        ("RuntimeProfile", {"spec.hostPath": "/"}, "spec.hostPath"),
        ("ModelProfile", {"spec.stepFactor": {}}, "spec.stepFactor"),
        ("MedleyPolicy", {"spec.limits.maxGpu": 1}, "spec.limits.maxGpu"),
        ("PowerDomain", {"spec.budgetwatts": 1}, "spec.budgetwatts"),
        ("NodePowerCap", {"spec.gpus[].watts": 1}, "spec.gpus[0].watts"),
        ("PowerEvent", {"spec.until": "x"}, "spec.until"),
    ],
)
def test_unknown_field_is_refused(crds: Api, kind: str, change: dict[str, Any], field: str) -> None:
    assert_rejected(crds, changed(obj(kind, FULL[kind]), change), f'unknown field "{field}"')


@pytest.mark.parametrize("kind", KIND)
def test_status_is_kept_whole_on_its_subresource_only(crds: Api, kind: str) -> None:
    thing = obj(kind, FULL[kind], name="kept")
    wanted = STATUSES[kind].model_dump(mode="json", by_alias=True, exclude_none=True)
    crds.request("DELETE", path_of(kind, "kept"))
    status, created = create(crds, {**thing, "status": wanted}, dry_run=False)
    assert (status, created.get("status")) == (201, None)
    try:
        patch: Object = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "kept"}, "status": wanted}
        query = "/status?fieldManager=medley-status&force=true&fieldValidation=Strict"
        status, answer = crds.apply(path_of(kind, "kept") + query, patch)
        assert status == 200, answer["message"]
        assert answer["status"] == wanted
        bad = copy.deepcopy(patch)
        bad["status"]["conditions"][0]["lastTransitionTime"] = "yesterday"
        status, answer = crds.apply(path_of(kind, "kept") + query, bad)
        assert status == 422
        assert "lastTransitionTime" in answer["message"]
    finally:
        crds.request("DELETE", path_of(kind, "kept"))


@pytest.mark.parametrize("kind", KIND)
def test_conditions_merge_by_type(crds: Api, kind: str) -> None:
    create(crds, obj(kind, FULL[kind], name="merged"), dry_run=False)
    try:
        for manager, condition_type in (("one", "Ready"), ("two", "Other")):
            condition = CONDITION.model_copy(update={"type": condition_type}).model_dump(mode="json", by_alias=True)
            patch: Object = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "merged"}}
            query = f"/status?fieldManager={manager}"
            status, answer = crds.apply(
                path_of(kind, "merged") + query, {**patch, "status": {"conditions": [condition]}}
            )
            assert status == 200, answer["message"]
        assert {c["type"] for c in answer["status"]["conditions"]} == {"Ready", "Other"}
    finally:
        crds.request("DELETE", path_of(kind, "merged"))


def test_short_names_category_and_columns(crds: Api) -> None:
    for name, spec in FULL.items():
        create(crds, obj(name, spec, name="shown"), dry_run=False)
    try:
        listed = crds.kubectl("get", "llms,gpool,rtp,mprof,mpol,gputype,pdom,npc,pev", "-n", "default", "-o", "wide")
        for kind in KINDS:
            assert f"{kind.kind.lower()}.{GROUP}/shown" in listed
            for column in kind.columns:
                assert column.name.upper() in listed
        assert "H100" in listed
        assert crds.kubectl("get", "medley", "-n", "default", "-o", "name").count("/shown") == len(KINDS)
    finally:
        for name in KIND:
            crds.request("DELETE", path_of(name, "shown"))
