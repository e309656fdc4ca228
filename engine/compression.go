package engine

import (
	"unsafe"

	"github.com/seed004e8d11/websock/internal/deflate"
)

// Compression says how messages are compressed: with permessage-deflate (RFC 7692). Its
// zero value means not at all. A program requests one when it opens a connection;
// Conn.Compression returns what both sides have agreed on. Sending and receiving are ours,
// whichever role we play.
//
// Without takeover a connection holds nothing between messages. With it, every message may
// refer to those before it, which makes messages that are alike much shorter, for the price
// of a window of memory in that direction, as soon as so much has passed.
type Compression struct {
	// Level says how hard sending tries: 1 is the fastest, 9 makes the smallest messages.
	// With takeover, every level above 1 looks at the whole window for every message, and
	// so is costly where the window is large and messages are small. 0: compression is off.
	Level int

	// Threshold is the size in bytes below which an unfragmented message is sent as it is.
	// One that compressing doesn't make smaller is so in any case.
	Threshold int

	// SendTakeover and RecvTakeover let messages refer to earlier ones (RFC 7692 section
	// 7.1.1). The peer may decline either.
	SendTakeover, RecvTakeover bool

	// SendWindowBits and RecvWindowBits say how far back a message may refer, and so how
	// much takeover has to remember: 1<<bits bytes, from 8 to 15 (RFC 7692 section 7.1.2).
	// 0 means 15. A peer that can't be held to fewer bits than 15 is asked to do without
	// takeover. Receiving takes 8 for 9: zlib can't compress with 8, so that peers which
	// agree to 8 refuse the connection later, or use 9.
	SendWindowBits, RecvWindowBits int
}

// DefaultCompression is meant for a client of very many connections. The messages of one
// connection are usually alike, and takeover serves them best; but its memory has to be
// paid for each connection. A window of 2 KiB holds a few messages of the usual size, of
// which the last one tells most, and leaves an idle connection with at most 4 KiB. Level 1
// is what a processor can afford that serves many connections.
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

// IsOff reports whether messages aren't compressed.
func (c Compression) IsOff() bool { return c.Level <= 0 }

// Normal returns c with every 0 replaced by what it stands for, and what is out of range
// by the nearest that isn't; the zero value if compression is off.
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

// A PerMessageDeflate is what permessage-deflate remembers between the messages of one connection
// (RFC 7692 section 7.1.1). Where context takeover was agreed that is at most a window of memory in
// each direction, as soon as so much has passed. One half belongs to the connection's Encoder, the
// other to its Decoder, so that each may be used by a goroutine of its own.
type PerMessageDeflate struct {
	agreed Compression
	out    deflateState
	in     inflateState
}

// deflateState is the Encoder's half.
type deflateState struct {
	history       deflate.History // with takeover
	compressed    bool            // the fragmented message under way is
	before, after uint64          // bytes: see Sent
}

// inflateState is the Decoder's half.
type inflateState struct {
	history       deflate.History  // with takeover
	message       *inflatedMessage // under way; nil: none
	before, after uint64           // bytes: see Received
}

// NewPerMessageDeflate returns the state for a connection on which c was agreed, or nil if that is
// off.
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

// Agreed returns what was agreed, with defaults.
func (z *PerMessageDeflate) Agreed() *Compression { return &z.agreed }

// Sent returns the payload of the messages that were sent compressed, in bytes before and after
// compressing. Only the goroutine that uses the Encoder may call it.
func (z *PerMessageDeflate) Sent() (before, after uint64) { return z.out.before, z.out.after }

// Received returns the payload of the messages that were received compressed, in bytes before and
// after inflating, as the caller has counted it with CountReceived. The Decoder doesn't, since these
// numbers are asked for by other goroutines than its own.
func (z *PerMessageDeflate) Received() (before, after uint64) { return z.in.before, z.in.after }

// CountReceived adds to what Received returns.
func (z *PerMessageDeflate) CountReceived(before, after uint64) {
	z.in.before += before
	z.in.after += after
}

// Memory returns how many bytes are held: the history of each direction, a window at most, with
// context takeover, and what inflating needs while a compressed message is received. It may be
// called while nobody uses the Encoder and the Decoder.
func (z *PerMessageDeflate) Memory() (sent, received, inflating int) {
	if z.in.message != nil {
		inflating = int(unsafe.Sizeof(*z.in.message))
	}
	return z.out.history.Len(), z.in.history.Len(), inflating
}

// RSV1 marks the first frame of a compressed message (RFC 7692 section 6), in Header.Rsv.
const RSV1 = 4

const rsv1 = RSV1
