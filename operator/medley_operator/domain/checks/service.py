"""Checks that an LLMService must pass before it is planned, as one list: `CHECKS`, asked in this order.

Each check looks at a `ServiceInput` and answers None or a `Refusal`; the first refusal counts, and a check may rely on
all before it. A new rule is a function and its line here. Those of other objects: `cluster/pool_checks.py`,
`checks/runtime_profile.py`, `speed/profile_reading.py`. Pure. Apart: the whole list fits on one screen.
"""

from __future__ import annotations

from collections.abc import Callable

from medley_operator.domain.checks import spec, variants
from medley_operator.domain.checks.attainable import targets_can_be_met
from medley_operator.domain.checks.policy import POLICY_CHECKS
from medley_operator.domain.checks.service_input import ServiceInput
from medley_planner.refusal import Refusal

Check = Callable[[ServiceInput], Refusal | None]

SPEC_CHECKS: tuple[Check, ...] = (
    spec.namespace_stays,
    *POLICY_CHECKS,
    spec.static_sizes_fit_the_model_length,
    spec.events_do_not_contradict_each_other,
    spec.variant_minima_fit_the_maximum,
    spec.profile_can_be_read,
    spec.profile_exists,
    spec.profile_can_be_used,
    spec.arguments_are_allowed,
    spec.arguments_can_be_read,
    spec.source_can_be_loaded,
    spec.pools_in_use_can_be_read,
)
"""On what its namespace may ask for, and on what the service and the objects that it names say."""

LOAD_CHECKS: tuple[Check, ...] = (
    variants.a_pool_exists,
    variants.model_is_known,
    variants.precision_is_the_checkpoints,
    variants.each_wish_can_be_met,
    variants.an_image_runs_on_a_pool,
    variants.weights_fit_the_cache,
    variants.length_is_within_the_model,
    variants.names_are_unique,
    variants.model_fits_a_pool,
    targets_can_be_met,
    variants.replicas_pack_onto_paid_nodes,
)
"""On the variants that are left to plan with, for the load that is planned: it is chosen before the first of these."""

CHECKS = SPEC_CHECKS + LOAD_CHECKS
