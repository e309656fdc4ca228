// Package soak has a test that keeps many connections busy for a long time: over each transport and
// over a mix of them, ws and wss, with and without compression, with pings, slow readers, and every way
// to send.
//
//	go test ./internal/soak -soak.duration 10m -soak.conns 5000 -timeout 20m
package soak
