"""Two power domains of a cluster in memory, one of which is refused."""

from __future__ import annotations

from tests.unit.operator.fleet.fake_kube import FakeKubeClient

API = "medley.dev/v1alpha1"


def cluster() -> FakeKubeClient:
    client = FakeKubeClient()
    refused = {
        "type": "Accepted",
        "status": "False",
        "reason": "BudgetBelowIdle",
        "message": "raise the budget",
        "lastTransitionTime": "2027-01-15T16:00:00Z",
    }
    row = {"level": 2, "reason": "Raised", "watts": 9100, "budgetWatts": 10000, "cappedGpus": 8, "gpus": 16}
    for name, status in (("row-1", row), ("row-2", {"conditions": [refused]})):
        spec = {"budgetWatts": 10000, "mode": "Enforce"}
        client.put(
            {"apiVersion": API, "kind": "PowerDomain", "metadata": {"name": name}, "spec": spec, "status": status}
        )
    return client
