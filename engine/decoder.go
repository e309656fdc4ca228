package engine

import (
	"sync"

	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
)

// EventKind is the kind of an Event.
type EventKind uint8

const (
	EventNone  EventKind = iota // all bytes were used and more are needed
	EventData                   // payload of a text, binary or continuation frame, as much as has arrived
	EventPing                   // a complete ping
	EventPong                   // a complete pong
	EventClose                  // a complete close frame with a valid code and reason
)

// String returns the name of the kind in lower case.
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

	// Header is the header of the frame of Payload. For EventNone it is that of the frame whose
	// payload comes next, or its Opcode is OpNone if that header is incomplete.
	Header Header

	// Payload is unmasked. It is a slice of the bytes given to Next, or of the Decoder's memory,
	// for a compressed message and for a control frame that arrived in parts. It is valid until the
	// next call.
	Payload []byte
}

// A Decoder parses received bytes into frames and checks that the peer follows RFC 6455: frame
// format (section 5.2), masking (5.1), fragmentation (5.4), control frames (5.5), UTF-8 (8.1), and
// Limits. It does no I/O, accepts the stream split at any byte, and doesn't allocate. Only one
// goroutine at a time may use it.
//
// Next and Decode are all that most callers need. A caller with its own memory for payload takes
// the steps itself: NextHeader until InFrame reports true, then Control for a control frame,
// Inflate for a compressed data frame, and UnmaskInPlace or UnmaskTo for other data frames, until
// InFrame reports false.
//
// Each error is a *ProtocolError or a *LimitError, and permanent: later calls return the same.
type Decoder struct {
	limits     *Limits
	deflate    *PerMessageDeflate // nil: compression was not negotiated
	err        error              // of all later calls, or nil
	partial    *partialFrame      // of an incomplete header or control frame, or nil
	h          Header             // of the current frame
	size       int64              // payload of the current message, as declared so far
	fragments  uint32             // frames of the current message
	text       utf8.Validator
	message    Opcode // opcode of the current message, or the last one
	role       Role
	maskPos    uint8 // position in the masking key
	compressed bool  // the current message is compressed
	state      decoderState
}

// A decoderState says what a Decoder has to remember from one frame to the next. It is 0 between
// messages, so that one comparison finds out.
type decoderState uint8

const (
	inFrame    decoderState = 1 << iota // the header is complete, the payload is not
	inMessage                           // the final fragment has not arrived
	hasPartial                          // partial is not nil
	closed                              // a close frame has arrived
	failed                              // err is not nil
)

// A partialFrame holds the beginning of a header or of a control frame's payload, which can be
// handled only when it is complete.
type partialFrame struct {
	n         int
	delivered bool // the control frame in b was returned by Control, so b can be reused
	b         [MaxControlPayload]byte
}

var partialFrames = sync.Pool{New: func() any { return new(partialFrame) }}

// NewDecoder returns a Decoder, without compression, for the frames that a peer sends to role:
// unmasked ones to a Client, masked ones to a Server. Zero fields of limits mean the defaults.
// With compression, use Init.
func NewDecoder(role Role, limits Limits) *Decoder {
	limits = limits.WithDefaults()
	d := new(Decoder)
	d.Init(role, &limits, nil)
	return d
}

// Init prepares d for a new stream. limits must come from WithDefaults. d keeps the pointer, and
// connections may share it if it isn't changed. z is the state of the connection, or nil if
// compression was not negotiated. A program with many idle connections can use one Decoder for
// several, one after another, while Idle reports true.
func (d *Decoder) Init(role Role, limits *Limits, z *PerMessageDeflate) {
	*d = Decoder{role: role, limits: limits, deflate: z}
}

// Next handles bytes from the start of src and returns what it found and how many bytes it used. It
// must be called again with the rest, even if that is empty, until it returns EventNone, which
// always uses all of src. A Server's payload is unmasked in place, which changes src. What follows
// a close frame is discarded.
func (d *Decoder) Next(src []byte) (e Event, n int, err error) {
	n, err = d.Decode(&e, src)
	return e, n, err
}

// Decode is Next, but writes the result to e. It is for programs that handle many short frames:
// copying an Event that was just written takes as long as parsing a short message.
func (d *Decoder) Decode(e *Event, src []byte) (n int, err error) {
	*e = Event{}
	if op, header, size := d.Unfragmented(src); header > 0 {
		if frame := src[: header+size : header+size]; d.AcceptUnfragmented(op, frame, header) {
			e.Kind, e.Payload = EventData, frame[header:]
			e.Header.Fin, e.Header.Opcode, e.Header.Length = true, op, int64(size)
			if d.role == Server {
				e.Header.Masked, e.Header.Key = true, maskingKey(frame[:header])
			}
			return header + size, nil
		}
	}
	e.Header.Opcode = OpNone
	if d.state&closed != 0 {
		return len(src), nil
	}
	n, err = d.NextHeader(src)
	if err != nil || !d.InFrame() {
		return n, err
	}
	used, err := d.decodePayload(e, src[n:])
	e.Header = d.h
	return n + used, err
}

// decodePayload handles payload of the current frame from the start of src and returns its size.
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

// NextHeader parses the next frame header from the start of src, as far as it has arrived, and
// returns how many bytes it used. While a frame is incomplete it uses none.
func (d *Decoder) NextHeader(src []byte) (n int, err error) {
	if d.state&(inFrame|failed) != 0 {
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
		d.takePartial()
		d.partial.n = copy(d.partial.b[:], src)
	}
	return len(src), nil
}

// resumeHeader is NextHeader for a header of which a part has arrived.
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

// takePartial takes a partialFrame from the pool.
func (d *Decoder) takePartial() {
	d.partial = partialFrames.Get().(*partialFrame)
	d.state |= hasPartial
}

// dropPartial returns the partialFrame to the pool.
func (d *Decoder) dropPartial() {
	d.partial.n, d.partial.delivered = 0, false
	partialFrames.Put(d.partial)
	d.partial = nil
	d.state &^= hasPartial
}

// Fail makes err, which must not be nil, the error of all later calls and returns it. A caller that ends
// the stream for a reason of its own should call it.
func (d *Decoder) Fail(err error) error {
	d.err = err
	d.state |= failed
	if d.compressed {
		d.endInflating()
	}
	return err
}

// Err returns the error of all later calls, or nil.
func (d *Decoder) Err() error { return d.err }

// checkHeader checks a frame header in the context of the frames before it.
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
	d.state |= inFrame
	d.maskPos = 0
	if d.h.Opcode.IsControl() {
		return nil
	}
	return d.checkDataHeader()
}

// marksCompressed reports whether the reserved bits mark a compressed message, where that is
// allowed (RFC 7692 section 6).
func (d *Decoder) marksCompressed() bool {
	return d.h.Rsv == RSV1 && d.h.Opcode.StartsMessage() && d.deflate != nil
}

// checkDataHeader is checkHeader for a data frame.
func (d *Decoder) checkDataHeader() error {
	if d.h.Opcode == OpContinuation {
		if d.state&inMessage == 0 {
			return d.Fail(errNothingToContinue)
		}
	} else {
		if d.state&inMessage != 0 {
			return d.Fail(errMessageUnfinished)
		}
		d.message = d.h.Opcode
		d.state |= inMessage
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

// UnmaskInPlace unmasks payload of the current data frame in place, validates and counts it. It
// must not be longer than the rest of the frame.
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

// UnmaskTo is UnmaskInPlace, but copies the payload from src to dst: as much as fits both and
// belongs to the frame. It returns that part of dst.
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

// countPayload counts n bytes of payload of the current data frame. valid is false for text that is
// not UTF-8.
func (d *Decoder) countPayload(n int, valid bool) error {
	if !valid {
		return d.Fail(errNotUTF8)
	}
	d.h.Remaining -= int64(n)
	if d.h.Remaining > 0 {
		return nil
	}
	d.state &^= inFrame
	if !d.h.Fin {
		return nil
	}
	d.state &^= inMessage
	if d.message == OpText && !d.text.Complete() {
		return d.Fail(errNotUTF8)
	}
	return nil
}

// Control handles payload of the current control frame from the start of src, and returns how many
// bytes it used. It returns the kind and the unmasked payload when the frame is complete; until
// then kind is EventNone. payload is a slice of src, which is changed for a Server, or of the
// Decoder's memory. It is valid until the next call.
func (d *Decoder) Control(src []byte) (kind EventKind, payload []byte, n int, err error) {
	n = int(min(int64(len(src)), d.h.Remaining))
	d.h.Remaining -= int64(n)
	complete := d.h.Remaining == 0
	if complete && d.partial == nil {
		payload = src[:n:n]
	} else {
		if d.partial == nil {
			d.takePartial()
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
	d.state &^= inFrame
	switch d.h.Opcode {
	case OpPing:
		return EventPing, payload, n, nil
	case OpPong:
		return EventPong, payload, n, nil
	}
	if _, _, err := ParseClose(payload); err != nil {
		return EventNone, nil, n, d.Fail(err)
	}
	d.state |= closed
	return EventClose, payload, n, nil
}

// Idle reports whether no message, frame or header is incomplete. After a close frame or an error
// it is false.
func (d *Decoder) Idle() bool { return d.state == 0 }

// InFrame reports whether the current frame is incomplete: its header was parsed, and not all of
// its payload was handled.
func (d *Decoder) InFrame() bool { return d.state&inFrame != 0 }

// inDataFrame reports whether the current frame is an incomplete data frame.
func (d *Decoder) inDataFrame() bool { return d.InFrame() && d.h.Opcode.IsData() }

// Frame returns the header of the current frame, or the last one. It belongs to the Decoder and
// must not be changed.
func (d *Decoder) Frame() *Header { return &d.h }

// Message returns the opcode of the current message, or the last one.
func (d *Decoder) Message() Opcode { return d.message }

// MessageBegun reports whether some payload of the current, incomplete message was handled.
func (d *Decoder) MessageBegun() bool {
	switch {
	case d.state&inMessage == 0:
		return false
	case d.compressed:
		return d.deflate.in.message.size > 0
	case d.inDataFrame():
		return d.size > d.h.Remaining
	}
	return d.size > 0
}
