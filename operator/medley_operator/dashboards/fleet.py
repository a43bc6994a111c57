"""The dashboard of the fleet: what it costs, what it saves, how full its pools are, and what is wrong."""

from __future__ import annotations

from medley_operator.dashboards.panels import (
    CLUSTER,
    NAMESPACE,
    OF_CLUSTER,
    OF_SERVICE,
    SERVICE,
    Board,
    Lines,
    Proof,
    Query,
    Section,
    Stat,
    Table,
    Unit,
)

_COST = f"medley_service_cost_per_hour_dollars{{{OF_SERVICE}}}"
_SINGLE = f"medley_service_best_single_cost_per_hour_dollars{{{OF_SERVICE}}}"
_BY_SERVICE = "sum by (namespace, service)"
_NAME = "{{namespace}}/{{service}}"
_BY_POOL = "max by (cluster, pool)"
_POOL = "{{pool}}"

_COSTS = Section(
    "Cost",
    (
        Stat(title="Cost per hour", unit=Unit.DOLLARS, queries=[Query(f"sum({_COST})")]),
        Stat(
            title="Savings against the best single type",
            unit=Unit.SHARE,
            description="Of the services that one GPU type alone could serve.",
            queries=[Query(f"1 - sum({_COST} and on (cluster, namespace, service) {_SINGLE}) / sum({_SINGLE})")],
        ),
        Stat(
            title="Load without capacity",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=[Query(f"sum(medley_service_unserved_request_rate{{{OF_SERVICE}}})")],
            bad=0.001,
        ),
        Stat(
            title="Stock-outs",
            unit=Unit.COUNT,
            description="Services whose plan or pods find too few GPUs.",
            queries=[
                Query(
                    "count(max by (cluster, namespace, service) "
                    f'(medley_service_problem{{{OF_SERVICE},condition="CapacityAvailable"}})) or vector(0)',
                    proof=Proof.SERIES,
                )
            ],
            bad=1,
        ),
        Stat(
            title="Plans held",
            unit=Unit.COUNT,
            queries=[Query(f"sum(medley_service_plan_held{{{OF_SERVICE}}})")],
            warn=1,
        ),
        Stat(
            title="GPU power",
            unit=Unit.WATTS,
            description="Watts of all GPUs whose node agent reports them.",
            queries=[Query(f"sum(medley_agent_gpu_usage_watts{{{OF_CLUSTER}}})", proof=Proof.SERIES)],
        ),
        Lines(
            title="Cost per hour by service",
            unit=Unit.DOLLARS,
            stacked=True,
            queries=[Query(f"{_BY_SERVICE} ({_COST})", _NAME)],
        ),
        Lines(
            title="Savings by service",
            unit=Unit.SHARE,
            queries=[Query(f"1 - {_BY_SERVICE} ({_COST}) / {_BY_SERVICE} ({_SINGLE})", _NAME)],
        ),
    ),
)
_MIX = Section(
    "Mix",
    (
        Lines(
            title="Replicas in force by GPU type",
            unit=Unit.COUNT,
            stacked=True,
            steps=True,
            queries=[Query(f"sum by (gpu) (medley_variant_desired_replicas{{{OF_SERVICE}}})", "{{gpu}}")],
        ),
        Lines(
            title="Ready replicas by GPU type",
            unit=Unit.COUNT,
            stacked=True,
            steps=True,
            queries=[Query(f"sum by (gpu) (medley_variant_ready_replicas{{{OF_SERVICE}}})", "{{gpu}}")],
        ),
        Lines(
            title="Request rate by service",
            unit=Unit.REQUESTS_PER_SECOND,
            queries=[
                Query(f"{_BY_SERVICE} (medley_service_request_rate{{{OF_SERVICE}}})", f"{_NAME} planned"),
                Query(f"{_BY_SERVICE} (medley_service_measured_request_rate{{{OF_SERVICE}}})", f"{_NAME} measured"),
            ],
        ),
        Lines(
            title="Requests within both targets",
            unit=Unit.SHARE,
            queries=[Query(f"min by (namespace, service) (medley_service_attained_ratio{{{OF_SERVICE}}})", _NAME)],
        ),
    ),
)
_POOLS = Section(
    "Pools",
    (
        Lines(
            title="Pool occupancy",
            unit=Unit.SHARE,
            description="Share of the pool's GPUs that replicas hold.",
            queries=[
                Query(
                    f"1 - {_BY_POOL} (medley_pool_free_gpus{{{OF_CLUSTER}}}) / "
                    f"({_BY_POOL} (medley_pool_stock_gpus{{{OF_CLUSTER}}}) > 0)",
                    _POOL,
                )
            ],
        ),
        Lines(
            title="GPUs that no pod holds",
            unit=Unit.COUNT,
            steps=True,
            queries=[Query(f"{_BY_POOL} (medley_pool_free_gpus{{{OF_CLUSTER}}})", _POOL)],
        ),
        Lines(
            title="GPUs that pods of others hold",
            unit=Unit.COUNT,
            steps=True,
            queries=[Query(f"{_BY_POOL} (medley_pool_foreign_gpus{{{OF_CLUSTER}}})", _POOL)],
        ),
        Lines(
            title="Cost of unused parts of nodes",
            unit=Unit.DOLLARS,
            description="Per hour, of pools that are paid by the node; no service's cost includes it.",
            queries=[
                Query(
                    f"{_BY_POOL} (medley_pool_idle_cost_per_hour_dollars{{{OF_CLUSTER}}})",
                    _POOL,
                    proof=Proof.SERIES,
                )
            ],
        ),
        Table(
            title="Problems of services",
            unit=Unit.COUNT,
            labels=("namespace", "service", "condition", "reason"),
            queries=[
                Query(
                    f"max by (namespace, service, condition, reason) (medley_service_problem{{{OF_SERVICE}}})",
                    proof=Proof.SERIES,
                )
            ],
        ),
        Table(
            title="Problems of pools",
            unit=Unit.COUNT,
            labels=("pool", "condition", "reason"),
            queries=[
                Query(
                    f"max by (pool, condition, reason) (medley_pool_problem{{{OF_CLUSTER}}})",
                    proof=Proof.SERIES,
                )
            ],
        ),
    ),
)
_STARTS = Section(
    "Starts",
    (
        Lines(
            title="Start of a replica, p90",
            unit=Unit.SECONDS,
            queries=[
                Query(
                    f'max by (model, gpu, node) (medley_lead_time_seconds{{{OF_CLUSTER},component="total"}})',
                    "{{model}} {{gpu}} {{node}}",
                )
            ],
        ),
        Lines(
            title="Parts of a start, p90",
            unit=Unit.SECONDS,
            queries=[
                Query(
                    f'max by (gpu, node, component) (medley_lead_time_seconds{{{OF_CLUSTER},component!="total"}})',
                    "{{gpu}} {{node}} {{component}}",
                )
            ],
        ),
    ),
)
FLEET = Board(
    name="fleet",
    title="Medley fleet",
    description="Cost, mix, savings and pools of all LLMServices that Medley runs.",
    variables=(CLUSTER, NAMESPACE, SERVICE),
    sections=(_COSTS, _MIX, _POOLS, _STARTS),
)
