{{/* What has no namespace. */}}
{{- define "medley.clusterRules" -}}
- apiGroups: [medley.dev]
  resources: [gpupools, runtimeprofiles, modelprofiles, medleypolicies, gputypes, powerdomains, powerevents, nodepowercaps]
  verbs: [list, watch]
# Server-side apply on the subresource is a patch.
- apiGroups: [medley.dev]
  resources: [gpupools/status, runtimeprofiles/status, modelprofiles/status, medleypolicies/status, gputypes/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
# Labels, by which a MedleyPolicy selects namespaces.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
# GPUs that DRA drivers offer, quotas of Kueue, limits of Karpenter. A cluster may lack each of these kinds.
- apiGroups: [resource.k8s.io]
  resources: [resourceslices, deviceclasses]
  verbs: [list, watch]
- apiGroups: [kueue.x-k8s.io]
  resources: [clusterqueues]
  verbs: [list, watch]
- apiGroups: [karpenter.sh]
  resources: [nodepools]
  verbs: [list, watch]
{{- end }}

{{/* What is in namespaces: everywhere, or in those of watchNamespaces alone. */}}
{{- define "medley.namespacedRules" -}}
# By name: is it still there before a child is made?
- apiGroups: [medley.dev]
  resources: [llmservices]
  verbs: [get, list, watch]
- apiGroups: [medley.dev]
  resources: [llmservices/status]
  verbs: [patch]
# Server-side apply needs create for an object that is not there yet.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [inference.networking.k8s.io]
  resources: [inferencepools]
  verbs: [get, list, watch, create, patch, delete]
# The configuration of endpoint pickers: one ConfigMap of this name in a namespace, and no other.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [medley-endpoint-picker]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [list, watch]
# What holds the GPUs of each node, and why pods of its Deployments do not start. It takes the start-up protection from
# the pods of its Deployments once they are Ready, marks those that go first where one shrinks, and labels them with
# prompt ranges; RBAC cannot narrow the patch to them.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
# An autoscaler on one of its Deployments gets its way, and the status says so.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
# One that sets the resources of its pods, which the status says too. A cluster may lack the kind.
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers]
  verbs: [list, watch]
# Devices of DRA drivers that pods hold.
- apiGroups: [resource.k8s.io]
  resources: [resourceclaims]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* The controller of power, everywhere: domains are of the cluster, and nodes run pods of all namespaces. */}}
{{- define "medley.powerRules" -}}
- apiGroups: [medley.dev]
  resources: [powerdomains, powerevents]
  verbs: [list, watch]
# Server-side apply on the subresource is a patch. The status of a NodePowerCap is its agent's.
- apiGroups: [medley.dev]
  resources: [powerdomains/status, powerevents/status]
  verbs: [patch]
- apiGroups: [medley.dev]
  resources: [nodepowercaps]
  verbs: [list, watch, create, patch, delete]
# Which nodes a domain feeds, what holds their GPUs, and with which priority.
- apiGroups: [""]
  resources: [nodes, pods, namespaces]
  verbs: [list, watch]
- apiGroups: [medley.dev]
  resources: [llmservices, medleypolicies]
  verbs: [list, watch]
{{- end }}
