"""Services select the pods of one variant, or of all."""

from __future__ import annotations

from medley_operator.domain.routing.service import render_common_service, render_variant_service
from tests.unit.operator import factories as make
from tests.unit.operator.domain.engine.test_deployment import deployment


def test_services_select_ready_pods_of_a_variant_or_of_all() -> None:
    layout = deployment()["metadata"]["labels"]["medley.dev/layout"]
    one, all_ = (
        render_variant_service(make.service(), variant="l4", layout=layout),
        render_common_service(make.service()),
    )
    assert one["metadata"]["name"] == deployment()["metadata"]["name"] == f"llama-l4-{layout}"
    assert one["spec"]["selector"]["medley.dev/variant"] == "l4"
    assert all_["metadata"]["name"] == "llama"
    assert "medley.dev/variant" not in all_["spec"]["selector"]
    pods = deployment()["spec"]["template"]["metadata"]["labels"].items()
    assert one["spec"]["selector"].items() <= pods
    assert not one["spec"]["selector"].items() <= deployment(layout="other")["spec"]["selector"]["matchLabels"].items()
    assert all_["spec"]["selector"].items() <= pods
