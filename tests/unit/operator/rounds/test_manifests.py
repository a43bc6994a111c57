"""Whole rounds on what a service's objects look like: an upgrade, drift, drains, and sources of weights."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest

from medley_operator.domain.engine.template import APPLIED
from medley_operator.domain.values.candidates import Disposition
from medley_operator.domain.values.labels import POD
from medley_operator.domain.values.snapshot import Manifest, ObjectKey, Snapshot
from medley_planner.shapes import model_id
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, changed, is_quiet, run, settle

BUDGET = ObjectKey("PodDisruptionBudget", make.NAMESPACE, "llama")
ID = model_id(make.LLAMA)
CONFIG = json.dumps(
    {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 128256,
    }
)


def one_pool(**spec: object) -> Snapshot:
    return make.snapshot(make.service(spec=spec), pools=[make.pool()])


def deployments(found: Snapshot) -> dict[ObjectKey, Manifest]:
    return {key: copy.deepcopy(manifest) for key, manifest in found.children.items() if key.kind == "Deployment"}


def with_children(found: Snapshot, children: dict[ObjectKey, Manifest]) -> Snapshot:
    return replace(found, children={**found.children, **children})


def as_an_older_medley_left_it(found: Round) -> Snapshot:
    """The settled cluster, with templates that the code of then rendered."""
    older = deployments(found.snapshot)
    for manifest in older.values():
        annotations = manifest["metadata"]["annotations"]
        template = json.loads(annotations[APPLIED])
        template["spec"]["containers"][0]["args"].append("--a-flag-of-then")
        template["metadata"]["labels"].pop("llm-d.ai/role")
        annotations[APPLIED] = json.dumps(template)
        manifest["spec"]["template"]["spec"]["containers"][0]["args"].append("--a-flag-of-then")
        manifest["spec"]["template"]["metadata"]["labels"].pop("llm-d.ai/role")
    return with_children(found.snapshot, older)


def test_an_upgrade_of_the_operator_writes_no_deployment() -> None:
    """Any change of the rendering was applied to all Deployments of the fleet in one round."""
    settled = settle(one_pool())
    after = run(as_an_older_medley_left_it(settled), settled.memory)
    assert is_quiet(after.decision)


def test_a_scaled_variant_keeps_the_template_that_it_runs() -> None:
    one = {"variants": [{"poolRef": "l4", "tensorParallel": 1}]}
    settled = settle(one_pool(**one))
    older = as_an_older_medley_left_it(settled)
    more = make.service(spec={**one, "scaling": {"minReplicas": 6}})
    (scaled,) = run(changed(older, more), settled.memory).applied("Deployment").values()
    assert scaled["spec"]["replicas"] >= 6
    assert scaled["spec"]["template"]["spec"]["containers"][0]["args"][-1] == "--a-flag-of-then"


def test_a_changed_spec_brings_the_template_of_now() -> None:
    settled = settle(one_pool())
    other = make.service(spec={"model": {"uri": make.LLAMA, "maxModelLen": 8192}})
    after = run(changed(as_an_older_medley_left_it(settled), other), settled.memory)
    (rolled,) = after.applied("Deployment").values()
    assert "--max-model-len=8192" in rolled["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--a-flag-of-then" not in rolled["spec"]["template"]["spec"]["containers"][0]["args"]


def test_drift_of_a_kept_template_is_put_back() -> None:
    settled = settle(one_pool())
    drifted = deployments(as_an_older_medley_left_it(settled))
    for manifest in drifted.values():
        manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "evil/miner:1"
    (mended,) = run(with_children(settled.snapshot, drifted), settled.memory).applied("Deployment").values()
    assert mended["spec"]["template"]["spec"]["containers"][0]["image"] == make.profile().spec.image
    assert mended["spec"]["template"]["spec"]["containers"][0]["args"][-1] == "--a-flag-of-then"


def test_each_service_has_one_disruption_budget() -> None:
    """A drain of all nodes took nine of nine replicas: there was no budget."""
    first = run(one_pool())
    assert list(first.applied("PodDisruptionBudget")) == ["llama"]
    assert not settle(one_pool()).applied("PodDisruptionBudget")


def test_a_changed_disruption_budget_is_put_back() -> None:
    settled = settle(one_pool())
    budget = copy.deepcopy(settled.snapshot.children[BUDGET])
    budget["spec"] |= {"maxUnavailable": 9, "selector": {"matchLabels": {**budget["spec"]["selector"], "a": "b"}}}
    after = run(with_children(settled.snapshot, {BUDGET: budget}), settled.memory)
    assert after.applied("PodDisruptionBudget")["llama"]["spec"]["maxUnavailable"] == 1


def test_a_disruption_budget_of_another_name_goes() -> None:
    settled = settle(one_pool())
    other = copy.deepcopy(settled.snapshot.children[BUDGET])
    other["metadata"] |= {"name": "llama-of-old", "uid": "old"}
    after = run(with_children(settled.snapshot, {replace(BUDGET, name="llama-of-old"): other}))
    assert after.deleted() == ["PodDisruptionBudget demo/llama-of-old"]


def test_disruption_budgets_that_cannot_be_listed_are_left_as_they_are() -> None:
    """With the ClusterRole of an older chart each write of one would fail. Each service says once that it has none."""
    unreadable = {POD: "pods are forbidden", BUDGET.kind: "no right to poddisruptionbudgets"}
    first = run(replace(one_pool(), unreadable=unreadable))
    assert first.applied("Deployment")
    assert not first.applied("PodDisruptionBudget")
    settled = settle(one_pool())
    budget = copy.deepcopy(settled.snapshot.children[BUDGET])
    budget["spec"]["maxUnavailable"] = 9
    seen = replace(with_children(settled.snapshot, {BUDGET: budget}), unreadable=unreadable)
    told = run(seen, settled.memory)
    assert (told.decision.applies, told.decision.deletes, told.decision.events) == ((), (), ())
    assert told.condition("ChildrenUnchanged").reason == "BudgetsUnreadable"
    assert is_quiet(run(make.carried_out(told.snapshot, told.decision), told.memory).decision)


@pytest.mark.parametrize("uri", ["pvc://models/llama", "oci://a/b:1", "s3://bucket/llama", "gs://bucket/llama"])
def test_a_model_of_any_source_is_planned_by_its_id_or_its_config(uri: str) -> None:
    by_id = run(one_pool(model={"uri": uri, "id": ID}))
    assert by_id.candidate().disposition is Disposition.PLANNED
    assert len(by_id.applied("Deployment")) == 1
    by_config = run(one_pool(model={"uri": uri, "configJson": CONFIG}))
    assert by_config.candidate().disposition is Disposition.PLANNED


def test_an_id_that_medley_does_not_know_is_refused_by_its_field() -> None:
    refused = run(one_pool(model={"uri": "pvc://models", "id": "nobody/knows-this"}))
    condition = refused.condition("PlanReady")
    assert condition.reason == "UnknownModel"
    assert 'spec.model.id is "nobody/knows-this"' in condition.message


def test_a_bucket_that_the_engine_cannot_stream_is_refused_with_the_version_that_can() -> None:
    service = make.service(spec={"model": {"uri": "gs://bucket/llama", "id": ID}})
    condition = run(make.snapshot(service, profiles=[make.profile(version="0.10.2")])).condition("PlanReady")
    assert condition.reason == "InvalidSpec"
    assert "vLLM 0.10.2" in condition.message
    assert "versions from 0.11 do" in condition.message


def test_a_loader_of_ones_own_is_refused_where_medley_sets_it() -> None:
    service = make.service(spec={"model": {"uri": "s3://bucket/llama", "id": ID}})
    profile = make.profile(args=["--load-format=dummy"])
    condition = run(make.snapshot(service, profiles=[profile])).condition("PlanReady")
    assert condition.reason == "ArgumentNotAllowed"
    assert "--load-format" in condition.message


def test_claims_of_two_namespaces_are_two_models() -> None:
    """The same address in another namespace may hold another model: what is learned of one is not the other's."""
    replica = run(one_pool(model={"uri": "pvc://m/a", "configJson": CONFIG})).candidate().variants[0].replica
    assert replica is not None
    assert replica.shape.name == f"pvc://{make.NAMESPACE}/m/a"
