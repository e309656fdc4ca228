//go:build linux

package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Work is what a client has to do.
type Work struct {
	URL     string
	TLS     *tls.Config // for wss
	Payload []byte      // of each message sent; messages received have the same length
	Window  int         // messages in flight on each connection; 0: only receive
	Feed    []byte      // what the messages are cut from if Compression isn't None; a multiple of the length of Payload

	// Compression is what a client has to offer, with windows of 32 KiB and the fastest level.
	Compression Compression

	Shared int // how many WebSockets share a connection, if the client can
	Meter  *Meter

	// Turnaround, if not nil, gets the nanoseconds from sending a message to receiving its echo, with
	// one message in flight on each connection. Only raw measures them, until Meter is done.
	Turnaround *hdrhistogram.Histogram

	sent atomic.Int64 // messages cut from Feed
}

// A Compression is what messages are compressed with.
type Compression string

const (
	None     Compression = "none"     // no extension is offered
	Takeover Compression = "takeover" // permessage-deflate with context takeover in both directions
	Fresh    Compression = "fresh"    // without, in both directions
)

// next returns the next message to send, over all connections.
func (w *Work) next() []byte {
	if !w.compresses() {
		return w.Payload
	}
	size := int64(len(w.Payload))
	i := (w.sent.Add(1) - 1) % (int64(len(w.Feed)) / size) * size
	return w.Feed[i : i+size]
}

func (w *Work) compresses() bool { return w.Compression == Takeover || w.Compression == Fresh }

// A Client is a number of connections of one contestant.
type Client interface {
	// Dial opens another connection. It is safe for concurrent use.
	Dial(ctx context.Context) error

	// Start starts the work on all connections and returns. It is called once.
	Start()
}

// A Caster is a Client that can make a server that is compared send a message to all its connections.
type Caster interface {
	Client

	// Cast sends a text message on one connection.
	Cast() error
}

// received counts a message of n bytes, and reports whether to send another one.
func (w *Work) received(n int) bool {
	if n != len(w.Payload) {
		w.Meter.Fail(fmt.Errorf("a message of %d bytes instead of %d", n, len(w.Payload)))
		return false
	}
	w.Meter.Add(1)
	return w.Window > 0
}

// secure reports whether to use TLS.
func (w *Work) secure() bool { return w.TLS != nil }
