package loadgen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster"
)

// failures counts failures by kind, and keeps the first error of each.
type failures struct {
	mu     sync.Mutex
	counts map[string]int64
	first  map[string]error
}

func newFailures() *failures {
	return &failures{counts: map[string]int64{}, first: map[string]error{}}
}

// maxKinds bounds the kinds of failures, since a server chooses close codes, HTTP statuses and reset codes,
// and every sample of a run has the counts. Failures of further kinds are of kind otherKinds.
const (
	maxKinds   = 100
	otherKinds = "other failures"
)

// add counts n failures of a kind. err, unless it is nil, is the error of one of them.
func (f *failures) add(kind string, n int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.counts[kind]; !known && len(f.counts) >= maxKinds {
		kind = otherKinds
	}
	f.counts[kind] += n
	if f.first[kind] == nil && err != nil {
		f.first[kind] = err
	}
}

// soFar returns the counts, and their sum.
func (f *failures) soFar() (counts map[string]int64, total int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, count := range f.counts {
		total += count
	}
	return maps.Clone(f.counts), total
}

// dialFailure returns the kind of a failed attempt.
func dialFailure(err error) string {
	var refusal *websock.HandshakeError
	var dial *net.OpError
	var stream *websock.StreamError
	switch {
	case errors.As(err, &refusal) && refusal.Proxy != "":
		return "proxy failed"
	case errors.As(err, &refusal) && refusal.Status != 0 && refusal.Status != http.StatusSwitchingProtocols:
		return fmt.Sprintf("handshake status %d", refusal.Status)
	case errors.As(err, &stream):
		return resetFailure(stream)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "dial refused"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "dial timeout"
	case fanout.FailureOf(err) == fanout.FailedTLS:
		return "TLS"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "dial failed"
	}
	return "handshake failed"
}

// closeFailure returns the kind of an error that ended a connection.
func closeFailure(err error) string {
	var protocol *websock.ProtocolError
	var limit *websock.LimitError
	var closed *websock.CloseError
	var stream *websock.StreamError
	switch {
	case errors.As(err, &protocol):
		return "protocol error"
	case errors.As(err, &limit):
		return "limit exceeded"
	case errors.As(err, &closed) && closed.Code != websock.CloseAbnormal:
		return fmt.Sprintf("close code %d", closed.Code)
	case errors.As(err, &stream):
		return resetFailure(stream)
	}
	return "connection lost"
}

// resetFailure returns the kind of the end of an HTTP/2 stream whose connection goes on.
func resetFailure(err *websock.StreamError) string { return fmt.Sprintf("stream reset %v", err.Code) }

// closedByUs reports whether a connection ended because we closed it.
func closedByUs(err error) bool {
	var closed *websock.CloseError
	return errors.As(err, &closed) && closed.Local && errors.Is(err, websock.ErrClosed)
}

// endedByUs reports whether a slot went down because its Group is being shut down, or because the
// slot was removed or is about to be, since another member of the cluster has its key.
func endedByUs(err error) bool {
	switch fanout.ReasonOf(err) {
	case fanout.AttemptFailed, fanout.ConnectionLost:
		return errors.Is(err, cluster.ErrNotHeld)
	}
	return true
}

// oneLine returns an error's text, in which a server may have put anything, so that it is harmless in a
// table on a terminal.
func oneLine(err error) string {
	text := string(console.Printable([]byte(err.Error())))
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(text)
}

// byKind returns the counts and the first errors.
func (f *failures) byKind() (counts map[string]int64, first map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first = map[string]string{}
	for kind, err := range f.first {
		first[kind] = oneLine(err)
	}
	return maps.Clone(f.counts), first
}
