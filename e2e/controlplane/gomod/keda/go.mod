module medley.dev/controlplane/keda

go 1.26.5

require github.com/kedacore/keda/v2 v2.21.0
