//go:build linux

package client

import (
	"context"
	"crypto/tls"
	"fmt"
)

// Work is what a client is to do.
type Work struct {
	URL     string
	TLS     *tls.Config // for wss
	Payload []byte      // of each message sent, and as long as each received
	Window  int         // messages in flight on each connection; 0: only receive
	Meter   *Meter
}

// A Client is a number of connections of one contestant.
type Client interface {
	// Dial opens one more connection. It may be called by several goroutines at
	// once.
	Dial(ctx context.Context) error

	// Start begins with the work on all connections, and returns. It is called once.
	Start()
}

// received counts a message of n bytes, and reports whether another is to be sent
// in its place.
func (w *Work) received(n int) bool {
	if n != len(w.Payload) {
		w.Meter.Fail(fmt.Errorf("a message of %d bytes instead of %d", n, len(w.Payload)))
		return false
	}
	w.Meter.Add(1)
	return w.Window > 0
}

// secure reports whether the connections are to be TLS.
func (w *Work) secure() bool { return w.TLS != nil }
