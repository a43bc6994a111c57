"""The kinds that Medley reads and writes, and where the API server keeps them.

A plain table without I/O: the client builds addresses from it, the watcher builds its selectors from it, and tests
compare the chart's RBAC with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.api.v1alpha1 import GROUP, VERSION
from medley_operator.domain.values.snapshot import ObjectKey
from medley_operator.kube.errors import KubeError


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind: API group (empty for the core group), version, kind, plural name in addresses, and scope."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Address on the API server; without `namespace` a namespaced kind is addressed in all namespaces."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


LLM_SERVICES = Resource(GROUP, VERSION, "LLMService", "llmservices", True)
GPU_POOLS = Resource(GROUP, VERSION, "GPUPool", "gpupools", False)
RUNTIME_PROFILES = Resource(GROUP, VERSION, "RuntimeProfile", "runtimeprofiles", False)
MODEL_PROFILES = Resource(GROUP, VERSION, "ModelProfile", "modelprofiles", False)
MEDLEY_POLICIES = Resource(GROUP, VERSION, "MedleyPolicy", "medleypolicies", False)
POWER_DOMAINS = Resource(GROUP, VERSION, "PowerDomain", "powerdomains", False)
NODE_POWER_CAPS = Resource(GROUP, VERSION, "NodePowerCap", "nodepowercaps", False)
POWER_EVENTS = Resource(GROUP, VERSION, "PowerEvent", "powerevents", False)
GPU_TYPES = Resource(GROUP, VERSION, "GPUType", "gputypes", False)
NODES = Resource("", "v1", "Node", "nodes", False)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", True)
SERVICES = Resource("", "v1", "Service", "services", True)
HTTP_ROUTES = Resource("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", True)
DISRUPTION_BUDGETS = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True)
GATEWAYS = Resource("gateway.networking.k8s.io", "v1", "Gateway", "gateways", True)
AUTOSCALERS = Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True)
"""Only looked at, since one may scale a Deployment of ours. KEDA makes them too."""
INFERENCE_POOLS = Resource("inference.networking.k8s.io", "v1", "InferencePool", "inferencepools", True)
RESIZERS = Resource("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler", "verticalpodautoscalers", True)
"""Only looked at, since one may set the resources of our pods. A cluster may lack the kind."""
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", True)
"""Two names: the operator's memory in its own namespace, and the endpoint picker's configuration in others."""
NAMESPACES = Resource("", "v1", "Namespace", "namespaces", False)
"""Only their labels are kept, by which policies select them."""
PODS = Resource("", "v1", "Pod", "pods", True)
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", True)
"""The operator has one Lease, by which its replicas agree on the one that acts."""
EVENTS = Resource("events.k8s.io", "v1", "Event", "events", True)

RESOURCE_SLICES = Resource("resource.k8s.io", "v1", "ResourceSlice", "resourceslices", False)
DEVICE_CLASSES = Resource("resource.k8s.io", "v1", "DeviceClass", "deviceclasses", False)
RESOURCE_CLAIMS = Resource("resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", True)
CLUSTER_QUEUES = Resource("kueue.x-k8s.io", "v1beta2", "ClusterQueue", "clusterqueues", False)
NODE_POOLS = Resource("karpenter.sh", "v1", "NodePool", "nodepools", False)

OWN = (LLM_SERVICES, GPU_POOLS, RUNTIME_PROFILES, MODEL_PROFILES, MEDLEY_POLICIES, GPU_TYPES)
"""Kinds that come with Medley's CRDs; without them there is nothing to do."""
POWER = (POWER_DOMAINS, POWER_EVENTS, NODE_POWER_CAPS)
"""Kinds of the controller of power and of the node agents; the fleet operator looks at them, and writes none."""
CHILDREN = (DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS, HTTP_ROUTES, INFERENCE_POOLS)
"""Kinds that Medley makes; only those with its managed-by label are ever listed."""
SUPPLY = (RESOURCE_SLICES, DEVICE_CLASSES, RESOURCE_CLAIMS, CLUSTER_QUEUES, NODE_POOLS)
"""Kinds that say of GPUs what nodes and pods do not: DRA's (Kubernetes 1.34), Kueue's and Karpenter's."""
GATEWAY_API = (HTTP_ROUTES, GATEWAYS)
MAY_LACK = (*GATEWAY_API, INFERENCE_POOLS, *SUPPLY, *POWER)
"""Kinds that a cluster may lack."""

_OTHERS = (NODES, NAMESPACES, GATEWAYS, AUTOSCALERS, RESIZERS, CONFIG_MAPS, PODS, LEASES, EVENTS, *SUPPLY)
BY_KIND = {resource.kind: resource for resource in (*OWN, *POWER, *CHILDREN, *_OTHERS)}


def path_of(key: ObjectKey, subresource: str = "") -> str:
    """Address of that object on the API server. Raises `KubeError` for a kind that is not in the table."""
    resource = BY_KIND.get(key.kind)
    if resource is None:
        raise KubeError(f"{key}: kind {key.kind} is not one of {', '.join(sorted(BY_KIND))}")
    return resource.path(namespace=key.namespace, name=key.name, subresource=subresource)
