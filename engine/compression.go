package engine

import (
	"unsafe"

	"github.com/seed004e8d11/websock/internal/deflate"
)

// Compression has the parameters of permessage-deflate (RFC 7692). The zero value means no
// compression. A Compression is requested when a connection is opened; Conn.Compression returns
// what was negotiated. Send and Recv are our directions, in either role.
//
// Without context takeover a connection holds no memory between messages. With it, each message may
// refer to earlier ones, which makes similar messages much shorter. In each direction this needs a
// window of memory, once that much payload has been transferred.
type Compression struct {
	// Level is the compression level of sent messages: 1 is the fastest, 9 makes the smallest
	// messages. With takeover, each level above 1 processes the whole window for every message,
	// which is costly if the window is large and messages are small. Level 1 looks back eight times as
	// far as a message is long, and at least 8 KiB. 0: compression is off.
	Level int

	// Threshold is the size in bytes below which an unfragmented message is sent uncompressed. So
	// is a message that compression doesn't make smaller.
	Threshold int

	// SendTakeover and RecvTakeover enable context takeover: messages may refer to earlier ones
	// (RFC 7692 section 7.1.1). The peer may decline either.
	SendTakeover, RecvTakeover bool

	// SendWindowBits and RecvWindowBits are the base-2 logarithms of the window sizes, from 8 to 15
	// (RFC 7692 section 7.1.2). The window is how far back a message may refer, and how much
	// takeover must store. 0 means 15. If the peer can't be limited to fewer bits than 15, it is
	// asked not to use takeover. RecvWindowBits of 8 mean 9: zlib can't compress with 8, so peers
	// that agree to 8 fail later, or use 9.
	SendWindowBits, RecvWindowBits int
}

// DefaultCompression is meant for clients with very many connections. The messages of one
// connection are usually similar, so takeover is effective, but each connection needs memory for
// it. A window of 2 KiB holds a few messages of usual size, of which the last is the most useful,
// and costs an idle connection at most 4 KiB. Level 1 suits a processor that serves many
// connections.
var DefaultCompression = Compression{
	Level:          1,
	Threshold:      64,
	SendTakeover:   true,
	RecvTakeover:   true,
	SendWindowBits: 11,
	RecvWindowBits: 11,
}

const (
	minWindowBits     = 8
	minRecvWindowBits = 9
	maxWindowBits     = 15
	maxLevel          = 9
)

// IsOff reports whether messages are not compressed.
func (c Compression) IsOff() bool { return c.Level <= 0 }

// Normal returns c with each 0 replaced by the value it stands for, and values out of range by the
// nearest valid ones. If compression is off, it returns the zero value.
func (c Compression) Normal() Compression {
	if c.IsOff() {
		return Compression{}
	}
	c.Level = min(c.Level, maxLevel)
	c.Threshold = max(c.Threshold, 0)
	c.SendWindowBits = normalBits(c.SendWindowBits, minWindowBits)
	c.RecvWindowBits = normalBits(c.RecvWindowBits, minRecvWindowBits)
	return c
}

func normalBits(bits, least int) int {
	if bits == 0 {
		return maxWindowBits
	}
	return min(max(bits, least), maxWindowBits)
}

// A PerMessageDeflate is the permessage-deflate state of one connection. With context takeover it
// holds a history of at most the window size for each direction (RFC 7692 section 7.1.1). One half
// belongs to the Encoder of the connection, the other to its Decoder; the two may be used by
// different goroutines.
type PerMessageDeflate struct {
	agreed Compression
	out    deflateState
	in     inflateState
}

// deflateState is the half of the Encoder.
type deflateState struct {
	history       deflate.History // with takeover
	compressed    bool            // the current fragmented message is compressed
	before, after uint64          // bytes: see Sent
}

// inflateState is the half of the Decoder.
type inflateState struct {
	history       deflate.History  // with takeover
	message       *inflatedMessage // that is being inflated, or nil
	before, after uint64           // bytes: see Received
}

// NewPerMessageDeflate returns the state of a connection that has negotiated c, or nil if c is off.
func NewPerMessageDeflate(c Compression) *PerMessageDeflate {
	c = c.Normal()
	if c.IsOff() {
		return nil
	}
	return &PerMessageDeflate{
		agreed: c,
		out:    deflateState{history: deflate.NewHistory(c.SendWindowBits)},
		in:     inflateState{history: deflate.NewHistory(c.RecvWindowBits)},
	}
}

// Agreed returns what was negotiated, with defaults.
func (z *PerMessageDeflate) Agreed() *Compression { return &z.agreed }

// Sent returns the payload of compressed messages that were sent, in bytes before and after
// compression. Only the goroutine that uses the Encoder may call it.
func (z *PerMessageDeflate) Sent() (before, after uint64) { return z.out.before, z.out.after }

// Received returns the payload of compressed messages that were received, in bytes before and after
// inflation, as counted by CountReceived. The Decoder doesn't count it, as other goroutines than
// its own need the result.
func (z *PerMessageDeflate) Received() (before, after uint64) { return z.in.before, z.in.after }

// CountReceived adds to the result of Received.
func (z *PerMessageDeflate) CountReceived(before, after uint64) {
	z.in.before += before
	z.in.after += after
}

// Memory returns how many bytes are held: the history of each direction, and the state of the
// message that is being inflated. It must not be called while the Encoder or the Decoder is used.
func (z *PerMessageDeflate) Memory() (sent, received, inflating int) {
	if z.in.message != nil {
		inflating = int(unsafe.Sizeof(*z.in.message))
	}
	return z.out.history.Len(), z.in.history.Len(), inflating
}

// RSV1 is the bit of Header.Rsv that marks the first frame of a compressed message (RFC 7692
// section 6).
const RSV1 = 4
