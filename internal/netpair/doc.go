// Package netpair makes pairs of connected net.Conns for tests.
package netpair
