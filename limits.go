package websock

import (
	"cmp"
	"math"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// Limits bounds the resources that a connection may use. Unless a field says otherwise, zero means
// the default and a negative value no limit. A *LimitError names the field whose limit was
// exceeded.
type Limits struct {
	// MessageSize bounds the payload of one received message, including all fragments, in bytes.
	// The declared length of a frame counts before its payload arrives. Default: 16 MiB. Close code
	// 1009.
	MessageSize int64

	// FrameSize bounds the payload of one received data frame, in bytes. Default: none but
	// MessageSize. Close code 1009.
	FrameSize int64

	// InflatedSize bounds the payload of one received compressed message after inflation, in bytes;
	// so does MessageSize. Default: none but MessageSize. Close code 1009.
	InflatedSize int64

	// InflationRatio bounds how many bytes one byte of a compressed message may inflate to, on
	// average. It applies once a message has inflated to more than 1 MiB. Default: 1100, which
	// deflate can't exceed, as its maximum is 1032: repetitive messages, such as snapshots, come
	// close to that, and InflatedSize bounds the memory at any ratio. Close code 1009.
	InflationRatio int

	// Fragments bounds the number of frames of one received message, against floods of tiny or
	// empty fragments. The default grows with the payload, so that it bounds the work for each byte
	// and not the size of a message: 4096, or one for each 32 bytes of payload that has arrived, if
	// that is more. Any other value is a number of frames. Close code 1008.
	Fragments int

	// PongRate bounds the number of pings answered in a second. Beyond that, only the latest ping
	// is answered, together with what is sent or received in a later second (RFC 6455 section
	// 5.5.3). It causes no error. Default: 1000.
	PongRate int

	// SendQueue bounds the bytes that wait to be written, including pongs. A batch held back by
	// Cork or by a Handler is written when it reaches this size. If the transport queues what the
	// peer doesn't accept, WhenFull says what happens when the queue is full; while nothing is
	// queued, a message of any size is accepted. Default: 64 KiB.
	SendQueue int

	// WhenFull is what a send does when SendQueue bytes wait for the peer.
	WhenFull QueuePolicy

	// HandshakeSize bounds the received part of the opening handshake, status line and headers, in
	// bytes. Over HTTP/2 each header counts 32 bytes more than its name and value have (RFC 9113
	// section 6.5.2). Exceeding it is a *HandshakeError that wraps the *LimitError. Default: 64 KiB.
	HandshakeSize int

	// CloseTimeout bounds the closing handshake (RFC 6455 section 7.1.1): from Close, or the peer's
	// close frame, to the end of the connection, including the write of the close frame. It also
	// bounds how long messages are received after a send has failed. No deadline prolongs it. It
	// doesn't include the time that a running Handler takes. If the Handler doesn't return, the
	// peer sees the end of the stream after CloseTimeout, and the connection is closed after the
	// same time again. Negative: Close doesn't wait for the peer, and the default applies to
	// writing and receiving. Default: 5 s.
	CloseTimeout time.Duration
}

// A QueuePolicy is what a send does when the queue is full because the peer doesn't accept what was
// sent. It matters only for transports that queue, such as those on event loops; with others a send
// always waits.
type QueuePolicy uint8

const (
	// QueueDefault is QueueRefuses on a connection with a Handler, and QueueWaits on one without.
	QueueDefault QueuePolicy = iota

	// QueueWaits makes the send wait until the peer has accepted enough, or until the send deadline
	// has passed. A Handler must then not send, neither on its connection nor on another one of the
	// same event loop: it would wait for itself.
	QueueWaits

	// QueueRefuses makes the send return a *LimitError for SendQueue. Nothing is sent, and the
	// connection stays usable. Drain waits for room.
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

// WithDefaults returns l with each zero replaced by its default and each negative value, meaning no
// limit, by the largest value. The default of Fragments isn't a number, so 0 stays.
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

// engineLimits returns the limits that the Decoder needs.
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
