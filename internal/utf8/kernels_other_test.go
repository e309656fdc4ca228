//go:build purego || !amd64

package utf8

import "testing"

// forEachKernel runs f with the only kernel.
func forEachKernel(t *testing.T, f func(t *testing.T)) { f(t) }
