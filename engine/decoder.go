package engine

import (
	"sync"

	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
)

// EventKind says what a Decoder found.
type EventKind uint8

const (
	EventNone  EventKind = iota // all bytes are used up and more are needed
	EventData                   // payload of a text, binary or continuation frame, as much as there is
	EventPing                   // a whole ping
	EventPong                   // a whole pong
	EventClose                  // a whole close frame, its code and reason valid
)

// String returns the kind in lower case.
func (k EventKind) String() string {
	switch k {
	case EventNone:
		return "none"
	case EventData:
		return "data"
	case EventPing:
		return "ping"
	case EventPong:
		return "pong"
	case EventClose:
		return "close"
	}
	return "invalid"
}

// An Event is what a Decoder found in the bytes it was given.
type Event struct {
	Kind EventKind

	// Header of the frame that Payload belongs to. For EventNone it is that of
	// the frame whose payload comes next, or its Opcode is OpNone: the header is
	// incomplete.
	Header Header

	// Payload, unmasked. It is a view of the bytes given to Next, or of memory of the
	// Decoder's own for a control frame that arrived in parts and for a compressed message;
	// valid until the next call.
	Payload []byte
}

// A Decoder turns received bytes into frames and holds the peer to RFC 6455:
// frame format (section 5.2), masking (5.1), fragmentation (5.4), control frames
// (5.5), UTF-8 (8.1), and Limits. It does no I/O, may be given the stream cut at
// any byte, and allocates nothing. One goroutine at a time uses it.
//
// Next and Decode do all of the work. A caller that has memory of its own for payload takes the
// steps by itself: NextHeader until InFrame reports true, then Control for a control frame, Inflate
// for a compressed data frame, and UnmaskInPlace or UnmaskTo for any other, until InFrame reports
// false.
//
// Every error is a *ProtocolError or a *LimitError, and final: later calls return the same.
type Decoder struct {
	limits     *Limits
	deflate    *PerMessageDeflate // nil: compression was not agreed
	err        error              // final
	partial    *partial           // a header or control payload that has arrived in part
	h          Header             // of the frame under way
	size       int64              // payload of the message under way, as declared so far
	fragments  uint32             // frames of the message under way
	text       utf8.Validator
	message    Opcode // of the message under way, or of the last one
	role       Role
	maskPos    uint8 // position in the masking key
	inFrame    bool  // the header is complete, the payload is not
	compressed bool  // the message under way is, and is being inflated
	inMessage  bool  // the final fragment of the message is still to come
	closed     bool  // a close frame arrived
}

// A partial holds the first part of a header or of a control frame's payload, which can only be
// handled once they are complete.
type partial struct {
	n         int
	delivered bool // the control frame in b was delivered: b is free again
	b         [maxControlPayload]byte
}

var partials = sync.Pool{New: func() any { return new(partial) }}

// NewDecoder returns a Decoder for the frames that a peer sends to role, without compression: a
// Client's are unmasked, a Server's masked. Zero fields of limits mean their defaults.
func NewDecoder(role Role, limits Limits) *Decoder {
	limits = limits.WithDefaults()
	d := new(Decoder)
	d.Init(role, &limits, nil)
	return d
}

// Init prepares d for a new stream. limits, which WithDefaults has returned, is kept: connections
// can share it if nobody changes it. z is the connection's, or nil if compression was not
// agreed. A program that keeps connections that do nothing may use one Decoder for many
// connections, one after another, while Idle reports true.
func (d *Decoder) Init(role Role, limits *Limits, z *PerMessageDeflate) {
	*d = Decoder{role: role, limits: limits, deflate: z}
}

// Next handles bytes from the start of src and returns what it found and how
// many bytes it used; call it again with the rest, also if nothing is left, until it returns
// EventNone, which always uses all of src. In the server role payload is unmasked in place,
// so src is changed. After a close frame, what follows is discarded.
func (d *Decoder) Next(src []byte) (e Event, n int, err error) {
	n, err = d.Decode(&e, src)
	return e, n, err
}

// Decode is Next that writes what it found to e. It is for programs that handle many short frames:
// copying an Event that was only just written takes as long as finding a whole message.
func (d *Decoder) Decode(e *Event, src []byte) (n int, err error) {
	*e = Event{}
	if op, header, n := d.Unfragmented(src); header > 0 {
		payload := src[header : header+n : header+n]
		if d.AcceptUnfragmented(op, payload) {
			e.Kind, e.Payload = EventData, payload
			e.Header.Fin, e.Header.Opcode, e.Header.Length = true, op, int64(n)
			return header + n, nil
		}
	}
	e.Header.Opcode = OpNone
	if d.closed {
		return len(src), nil
	}
	n, err = d.NextHeader(src)
	if err != nil || !d.inFrame {
		return n, err
	}
	used, err := d.decodePayload(e, src[n:])
	e.Header = d.h
	return n + used, err
}

// decodePayload handles payload of the frame under way from the start of src, and returns how much.
func (d *Decoder) decodePayload(e *Event, src []byte) (n int, err error) {
	switch {
	case d.h.Opcode.IsControl():
		e.Kind, e.Payload, n, err = d.Control(src)
		return n, err
	case d.compressed:
		return d.decodeCompressed(e, src)
	case len(src) == 0 && d.h.Remaining > 0:
		return 0, nil
	}
	src = src[:min(int64(len(src)), d.h.Remaining)]
	src = src[:len(src):len(src)]
	if err := d.UnmaskInPlace(src); err != nil {
		return 0, err
	}
	e.Kind, e.Payload = EventData, src
	return len(src), nil
}

// NextHeader reads the header of the next frame from the start of src, as far as it is there, and
// returns how many bytes it took. While a frame is under way it takes none.
func (d *Decoder) NextHeader(src []byte) (n int, err error) {
	if d.inFrame || d.err != nil {
		return 0, d.err
	}
	if d.partial != nil {
		return d.resumeHeader(src)
	}
	n, err = parseHeader(&d.h, src)
	if n > 0 {
		return n, d.checkHeader()
	}
	if err != nil {
		return 0, d.Fail(err)
	}
	if len(src) > 0 {
		d.partial = partials.Get().(*partial)
		d.partial.n = copy(d.partial.b[:], src)
	}
	return len(src), nil
}

// resumeHeader is NextHeader for a header of which a part arrived before.
func (d *Decoder) resumeHeader(src []byte) (n int, err error) {
	if d.partial.delivered {
		d.dropPartial()
		return d.NextHeader(src)
	}
	had := d.partial.n
	had += copy(d.partial.b[had:MaxHeaderSize], src)
	size, err := parseHeader(&d.h, d.partial.b[:had])
	if err != nil {
		return 0, d.Fail(err)
	}
	if size == 0 {
		d.partial.n = had
		return len(src), nil
	}
	n = size - d.partial.n
	d.dropPartial()
	return n, d.checkHeader()
}

func (d *Decoder) dropPartial() {
	d.partial.n, d.partial.delivered = 0, false
	partials.Put(d.partial)
	d.partial = nil
}

// Fail makes err the error of all later calls and returns it. A caller that ends the stream for a
// reason of its own calls it.
func (d *Decoder) Fail(err error) error {
	d.err = err
	if d.compressed {
		d.endInflating()
	}
	return err
}

// Err returns the error of all later calls, or nil.
func (d *Decoder) Err() error { return d.err }

// checkHeader checks the header of a frame against what came before it.
func (d *Decoder) checkHeader() error {
	switch {
	case d.h.Rsv != 0 && !d.marksCompressed():
		return d.Fail(errReservedBits)
	case d.h.Masked != (d.role == Server):
		if d.h.Masked {
			return d.Fail(errMasked)
		}
		return d.Fail(errNotMasked)
	}
	d.inFrame = true
	d.maskPos = 0
	if d.h.Opcode.IsControl() {
		return nil
	}
	return d.checkDataHeader()
}

// marksCompressed reports whether the reserved bits say, where they may, that a message is
// compressed (RFC 7692 section 6).
func (d *Decoder) marksCompressed() bool {
	return d.h.Rsv == rsv1 && d.h.Opcode.StartsMessage() && d.deflate != nil
}

func (d *Decoder) checkDataHeader() error {
	if d.h.Opcode == OpContinuation {
		if !d.inMessage {
			return d.Fail(errNothingToContinue)
		}
	} else {
		if d.inMessage {
			return d.Fail(errMessageUnfinished)
		}
		d.message = d.h.Opcode
		d.inMessage = true
		d.size = 0
		d.fragments = 0
	}
	d.fragments++
	limits := d.limits
	switch {
	case d.h.Length > limits.FrameSize:
		return d.Fail(&LimitError{Limit: "FrameSize", Max: limits.FrameSize, Code: CloseMessageTooBig})
	case d.h.Length > limits.maxPayload(d.compressed || d.h.Rsv != 0)-d.size:
		return d.Fail(&LimitError{Limit: "MessageSize", Max: limits.MessageSize, Code: CloseMessageTooBig})
	}
	d.size += d.h.Length
	if most := limits.maxFragments(d.size); int64(d.fragments) > most {
		return d.Fail(&LimitError{Limit: "Fragments", Max: most, Code: ClosePolicyViolation})
	}
	if d.h.Rsv != 0 {
		d.beginInflating()
	}
	if d.compressed {
		d.beginInflatingFrame()
	}
	return nil
}

// UnmaskInPlace handles payload of the data frame under way, at most as much as remains of it: it
// is unmasked in place, validated and counted.
func (d *Decoder) UnmaskInPlace(payload []byte) error {
	ok := true
	text := d.message == OpText
	switch {
	case d.h.Masked && text:
		var pos int
		pos, ok = d.text.Unmask(payload, d.h.Key, int(d.maskPos))
		d.maskPos = uint8(pos)
	case d.h.Masked:
		d.maskPos = uint8(mask.XOR(payload, d.h.Key, int(d.maskPos)))
	case text:
		ok = d.text.Write(payload)
	}
	return d.countPayload(len(payload), ok)
}

// UnmaskTo is UnmaskInPlace for payload that is copied from src to dst at the same time, as much as
// fits both and the frame. It returns that part of dst.
func (d *Decoder) UnmaskTo(dst, src []byte) ([]byte, error) {
	n := int(min(int64(len(dst)), int64(len(src)), d.h.Remaining))
	dst, src = dst[:n], src[:n]
	ok := true
	text := d.message == OpText
	switch {
	case d.h.Masked:
		d.maskPos = uint8(mask.Copy(dst, src, d.h.Key, int(d.maskPos)))
		if text {
			ok = d.text.Write(dst)
		}
	case text:
		ok = d.text.Copy(dst, src)
	default:
		copy(dst, src)
	}
	return dst, d.countPayload(n, ok)
}

// countPayload counts n bytes of payload of the data frame under way. valid is false for text that
// is not UTF-8.
func (d *Decoder) countPayload(n int, valid bool) error {
	if !valid {
		return d.Fail(errNotUTF8)
	}
	d.h.Remaining -= int64(n)
	if d.h.Remaining > 0 {
		return nil
	}
	d.inFrame = false
	if !d.h.Fin {
		return nil
	}
	d.inMessage = false
	if d.message == OpText && !d.text.Complete() {
		return d.Fail(errNotUTF8)
	}
	return nil
}

// Control handles payload of the control frame under way from the start of src, and returns how
// many bytes. The event and the unmasked payload are returned once the frame is complete; until
// then kind is EventNone. payload is a view of src, which in the server role is changed, or of the
// Decoder's memory, valid until the next call.
func (d *Decoder) Control(src []byte) (kind EventKind, payload []byte, n int, err error) {
	n = int(min(int64(len(src)), d.h.Remaining))
	d.h.Remaining -= int64(n)
	complete := d.h.Remaining == 0
	if complete && d.partial == nil {
		payload = src[:n:n]
	} else {
		if d.partial == nil {
			d.partial = partials.Get().(*partial)
		}
		d.partial.n += copy(d.partial.b[d.partial.n:], src[:n])
		if !complete {
			return EventNone, nil, n, nil
		}
		d.partial.delivered = true
		payload = d.partial.b[:d.partial.n:d.partial.n]
	}
	if d.h.Masked {
		mask.XOR(payload, d.h.Key, 0)
	}
	d.inFrame = false
	switch d.h.Opcode {
	case OpPing:
		return EventPing, payload, n, nil
	case OpPong:
		return EventPong, payload, n, nil
	}
	if _, _, err := ParseClose(payload); err != nil {
		return EventNone, nil, n, d.Fail(err)
	}
	d.closed = true
	return EventClose, payload, n, nil
}

// Idle reports whether nothing is under way: no message, no frame and no part of a header. After a
// close frame or an error it is false.
func (d *Decoder) Idle() bool {
	return !d.inFrame && !d.inMessage && d.partial == nil && !d.closed && d.err == nil
}

// InFrame reports whether the header of a frame has arrived and some of its payload is still to be
// handled.
func (d *Decoder) InFrame() bool { return d.inFrame }

func (d *Decoder) inDataFrame() bool { return d.inFrame && d.h.Opcode.IsData() }

// Frame returns the header of the frame under way, or of the last one. It belongs to the Decoder,
// which changes it, and must not be written to.
func (d *Decoder) Frame() *Header { return &d.h }

// Message returns the opcode of the message under way, or of the last one.
func (d *Decoder) Message() Opcode { return d.message }

// MessageBegun reports whether payload of the message under way was handled.
func (d *Decoder) MessageBegun() bool {
	switch {
	case !d.inMessage:
		return false
	case d.compressed:
		return d.deflate.in.message.size > 0
	case d.inDataFrame():
		return d.size > d.h.Remaining
	}
	return d.size > 0
}
