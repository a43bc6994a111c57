//go:build tools

// Package tools names what is built from this module, so that go.sum stays whole.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
)
