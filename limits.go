package websock

import (
	"cmp"
	"math"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// Limits bounds what a connection may cost. In every field zero means the
// default and a negative value means no limit, unless it says otherwise. What
// exceeds a limit ends in a *LimitError that names the field.
type Limits struct {
	// MessageSize bounds the payload of one message received, all fragments
	// together, in bytes. A frame's declared length counts, before any of its
	// payload came. Default: 16 MiB. Close code 1009.
	MessageSize int64

	// FrameSize bounds the payload of one data frame received, in bytes.
	// Default: no bound but MessageSize. Close code 1009.
	FrameSize int64

	// InflatedSize bounds the payload of one compressed message received, in bytes after
	// inflating; so does MessageSize. Default: no bound but that. Close code 1009.
	InflatedSize int64

	// InflationRatio bounds what a byte of a compressed message may become on the average.
	// It counts once a message has inflated to more than 1 MiB. Default: 1100, more than
	// deflate can reach, which is 1032: messages that repeat much, as snapshots do, come near
	// it, and InflatedSize bounds the memory whatever the ratio. Close code 1009.
	InflationRatio int

	// Fragments bounds the number of frames of one message received, so that a
	// flood of tiny or empty fragments ends. By default the bound grows with the
	// payload, so that the work for a byte received is bounded, and not the size of a
	// message: 4096, and beyond that as many as have 32 bytes of payload each on the
	// average, as it came. Any other value is a count. Close code 1008.
	Fragments int

	// PongRate bounds the pings answered within a second. Above it, only the
	// latest ping is answered, with what is sent or received next in a later second
	// (RFC 6455 section 5.5.3).
	// Nothing fails. Default: 1000.
	PongRate int

	// SendQueue bounds the bytes that may wait to be written, pongs included.
	// Frames that are held back under Cork or by a Handler are written by the send
	// with which so many have gathered. Where the transport queues what the peer
	// doesn't take, WhenFull says what comes then; a message is always accepted
	// when nothing is queued, whatever its size. Default: 64 KiB.
	SendQueue int

	// WhenFull says what a send does when SendQueue bytes wait for the peer.
	WhenFull QueuePolicy

	// HandshakeSize bounds the opening handshake received, headers and status
	// line together, in bytes. Default: 64 KiB. Ends in a *HandshakeError whose
	// cause is the *LimitError.
	HandshakeSize int

	// CloseTimeout bounds the closing handshake (RFC 6455 section 7.1.1): from
	// Close, or the peer's close frame, to the end of the connection, the writing
	// of the close frame included. It also bounds how long the peer's last messages
	// are received after a send has failed. No deadline that is set prolongs it. The
	// time that a Handler takes in which it begins doesn't count; but a Handler that
	// hangs keeps neither the peer, which sees the end of the stream after
	// CloseTimeout, nor the connection, which is closed after as long again.
	// Negative: Close doesn't wait for the peer, and writing and receiving have the
	// default. Default: 5 s.
	CloseTimeout time.Duration
}

// A QueuePolicy says what a send does that finds the queue full because the peer
// doesn't take what was sent. It matters for transports that queue, those on event
// loops; others make a send wait in any case.
type QueuePolicy uint8

const (
	// QueueDefault refuses on a connection with a Handler, and waits on one without.
	QueueDefault QueuePolicy = iota

	// QueueWaits makes the send wait until the peer has taken enough, or the send
	// deadline has passed. A Handler must then not send on this connection or on
	// any other of the same event loop: it would wait for itself.
	QueueWaits

	// QueueRefuses makes the send return a *LimitError that names SendQueue, with
	// nothing sent. The connection stays usable. Drain waits for room.
	QueueRefuses
)

// The defaults of Limits.
const (
	DefaultMessageSize    = engine.DefaultMessageSize
	DefaultInflationRatio = engine.DefaultInflationRatio
	DefaultFragments      = engine.DefaultFragments // of a message of up to 128 KiB; see Limits.Fragments
	DefaultPongRate       = 1000
	DefaultSendQueue      = 64 << 10
	DefaultHandshakeSize  = 64 << 10
	DefaultCloseTimeout   = 5 * time.Second
)

// WithDefaults returns l with every zero replaced by its default and every
// "no limit" by the largest value. The default of Fragments is no number: 0 stays.
func (l Limits) WithDefaults() Limits {
	received := l.engineLimits().WithDefaults()
	return Limits{
		MessageSize:    received.MessageSize,
		FrameSize:      received.FrameSize,
		InflatedSize:   received.InflatedSize,
		InflationRatio: received.InflationRatio,
		Fragments:      received.Fragments,
		PongRate:       orDefault(l.PongRate, DefaultPongRate),
		SendQueue:      orDefault(l.SendQueue, DefaultSendQueue),
		WhenFull:       l.WhenFull,
		HandshakeSize:  orDefault(l.HandshakeSize, DefaultHandshakeSize),
		CloseTimeout:   cmp.Or(l.CloseTimeout, DefaultCloseTimeout),
	}
}

// received returns the limits that the protocol engine needs.
func (l *Limits) engineLimits() engine.Limits {
	return engine.Limits{
		MessageSize:    l.MessageSize,
		FrameSize:      l.FrameSize,
		InflatedSize:   l.InflatedSize,
		InflationRatio: l.InflationRatio,
		Fragments:      l.Fragments,
	}
}

func orDefault(value, byDefault int) int {
	switch {
	case value == 0:
		return byDefault
	case value < 0:
		return math.MaxInt
	}
	return value
}
