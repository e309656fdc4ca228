// Package soak holds a test that keeps many connections busy for a long time.
//
//	go test ./internal/soak -soak.duration 10m -soak.conns 5000 -timeout 20m
package soak
