module medley.dev/controlplane/inference-extension

go 1.26

require sigs.k8s.io/gateway-api-inference-extension v1.6.0
