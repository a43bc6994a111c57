//go:build tools

// Package tools names what is built from this module, so that go.sum stays whole.
package tools

import (
	_ "sigs.k8s.io/krew/cmd/krew"
)
