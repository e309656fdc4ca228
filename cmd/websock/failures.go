package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/fanout"
)

// failures counts what went wrong, by kind.
type failures struct {
	mu     sync.Mutex
	counts map[string]int64
	first  map[string]error // of each kind
}

func newFailures() *failures {
	return &failures{counts: map[string]int64{}, first: map[string]error{}}
}

// add counts n failures of a kind, of which err, unless it is nil, is one.
func (f *failures) add(kind string, n int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[kind] += n
	if f.first[kind] == nil && err != nil {
		f.first[kind] = err
	}
}

func (f *failures) total() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var n int64
	for _, count := range f.counts {
		n += count
	}
	return n
}

const dialTimeout = "dial timeout"

// dialFailure names the kind of an error of dialling.
func dialFailure(err error) string {
	var refusal *websock.HandshakeError
	var dial *net.OpError
	switch {
	case errors.As(err, &refusal) && refusal.Proxy != "":
		return "proxy failed"
	case errors.As(err, &refusal) && refusal.Status != 0 && refusal.Status != http.StatusSwitchingProtocols:
		return fmt.Sprintf("handshake status %d", refusal.Status)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "dial refused"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return dialTimeout
	case fanout.FailureOf(err) == fanout.FailedTLS:
		return "TLS"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "dial failed"
	}
	return "handshake failed"
}

// closeFailure names the kind of an error that ended a connection.
func closeFailure(err error) string {
	var protocol *engine.ProtocolError
	var limit *engine.LimitError
	var closed *engine.CloseError
	switch {
	case errors.As(err, &protocol):
		return "protocol error"
	case errors.As(err, &limit):
		return "limit exceeded"
	case errors.As(err, &closed) && closed.Code != engine.CloseAbnormal:
		return fmt.Sprintf("close code %d", closed.Code)
	}
	return "connection lost"
}

// endedByUs reports whether err, which ended a connection, is our own Close.
func endedByUs(err error) bool {
	var closed *engine.CloseError
	return errors.As(err, &closed) && closed.Local && errors.Is(err, engine.ErrClosed)
}

// byKind returns the counts and the first errors, those of which there is one.
func (f *failures) byKind() (counts map[string]int64, first map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first = map[string]string{}
	for kind, err := range f.first {
		first[kind] = err.Error()
	}
	return maps.Clone(f.counts), first
}
