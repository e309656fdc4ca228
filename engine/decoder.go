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

	// Payload, unmasked. It is a view of the bytes given to Next, or of the
	// Decoder's own memory for a control frame that was cut; valid until the
	// next call.
	Payload []byte
}

// A Decoder turns received bytes into frames and holds the peer to RFC 6455:
// frame format (section 5.2), masking (5.1), fragmentation (5.4), control frames
// (5.5), UTF-8 (8.1), and Limits. It does no I/O, may be given the stream cut at
// any byte, and allocates nothing. One goroutine at a time uses it.
type Decoder struct {
	terms      *terms
	err        error  // what the peer did wrong; final
	cut        *cut   // a header or control payload of which a part has come
	h          Header // of the frame under way
	size       int64  // payload of the message under way, as declared so far
	fragments  uint32 // frames of the message under way
	text       utf8.Validator
	message    Opcode // of the message under way, or of the last one
	role       Role
	pos        uint8 // place in the masking key
	open       bool  // the header is complete, the payload is not
	compressed bool  // the message under way is, and is being inflated
	unfinished bool  // the final fragment of the message is still to come
	closed     bool  // a close frame came
}

// A cut holds the part that has come of what must be whole to be understood.
type cut struct {
	n     int
	spent bool // the control frame in it was delivered
	b     [maxControlPayload]byte
}

var cuts = sync.Pool{New: func() any { return new(cut) }}

// NewDecoder returns a Decoder for the frames that a peer sends to role: a
// Client's are unmasked, a Server's masked. Zero fields of limits mean their
// defaults.
func NewDecoder(role Role, limits Limits) *Decoder {
	return &Decoder{role: role, terms: &terms{Limits: limits.WithDefaults()}}
}

// Next handles bytes from the start of src and returns what it found and how
// many bytes it used; call it again with the rest until it returns EventNone,
// which always uses all of src. In the server role payload is unmasked in place,
// so src is changed.
//
// The error is a *ProtocolError or a *LimitError, and final: the same for every
// later call. After a close frame, what follows is discarded.
func (d *Decoder) Next(src []byte) (e Event, n int, err error) {
	n, err = d.Decode(&e, src)
	return e, n, err
}

// Decode is Next that writes what it found to e. It is for who handles many short frames: to
// copy an Event that was only just written takes as long as to find a whole message.
func (d *Decoder) Decode(e *Event, src []byte) (n int, err error) {
	*e = Event{}
	if header, n := d.whole(src); header > 0 {
		op, payload := Opcode(src[0]&opcodeBits), src[header:header+n:header+n]
		if d.takeWhole(op, payload) {
			e.Kind, e.Payload = EventData, payload
			e.Header.Fin, e.Header.Opcode, e.Header.Length = true, op, int64(n)
			return header + n, nil
		}
	}
	e.Header.Opcode = OpNone
	if d.closed {
		return len(src), nil
	}
	n, err = d.begin(src)
	if err != nil || !d.open {
		return n, err
	}
	used, err := d.handle(e, src[n:])
	e.Header = d.h
	return n + used, err
}

// handle handles payload of the open frame from the start of src, and returns how much.
func (d *Decoder) handle(e *Event, src []byte) (n int, err error) {
	if d.h.Opcode.IsControl() {
		e.Kind, e.Payload, n, err = d.control(src)
		return n, err
	}
	if len(src) == 0 && d.h.Remaining > 0 {
		return 0, nil
	}
	src = src[:min(int64(len(src)), d.h.Remaining)]
	src = src[:len(src):len(src)]
	if err := d.take(src); err != nil {
		return 0, err
	}
	e.Kind, e.Payload = EventData, src
	return len(src), nil
}

// begin sees to it that a frame is open, if src allows, and returns how many
// bytes of src its header took. A frame that is open already takes none.
func (d *Decoder) begin(src []byte) (n int, err error) {
	if d.open || d.err != nil {
		return 0, d.err
	}
	if d.cut != nil {
		return d.resumeHeader(src)
	}
	n, err = parseHeader(&d.h, src)
	if n > 0 {
		return n, d.admit()
	}
	if err != nil {
		return 0, d.fail(err)
	}
	if len(src) > 0 {
		d.cut = cuts.Get().(*cut)
		d.cut.n = copy(d.cut.b[:], src)
	}
	return len(src), nil
}

// resumeHeader is begin for a header of which a part came before.
func (d *Decoder) resumeHeader(src []byte) (n int, err error) {
	if d.cut.spent {
		d.dropCut()
		return d.begin(src)
	}
	had := d.cut.n
	had += copy(d.cut.b[had:MaxHeaderSize], src)
	size, err := parseHeader(&d.h, d.cut.b[:had])
	if err != nil {
		return 0, d.fail(err)
	}
	if size == 0 {
		d.cut.n = had
		return len(src), nil
	}
	n = size - d.cut.n
	d.dropCut()
	return n, d.admit()
}

func (d *Decoder) dropCut() {
	d.cut.n, d.cut.spent = 0, false
	cuts.Put(d.cut)
	d.cut = nil
}

func (d *Decoder) fail(err error) error {
	d.err = err
	if d.compressed {
		d.endInflating()
	}
	return err
}

// admit checks the header of a frame against what came before it.
func (d *Decoder) admit() error {
	switch {
	case d.h.Rsv != 0 && !d.marksCompressed():
		return d.fail(errReservedBits)
	case d.h.Masked != (d.role == Server):
		if d.h.Masked {
			return d.fail(errMasked)
		}
		return d.fail(errNotMasked)
	}
	d.open = true
	d.pos = 0
	if d.h.Opcode.IsControl() {
		return nil
	}
	return d.admitData()
}

// marksCompressed reports whether the reserved bits say, where they may, that a message is
// compressed (RFC 7692 section 6).
func (d *Decoder) marksCompressed() bool {
	return d.h.Rsv == rsv1 && d.h.Opcode.startsMessage() && d.terms.compression != nil
}

func (d *Decoder) admitData() error {
	if d.h.Opcode == OpContinuation {
		if !d.unfinished {
			return d.fail(errNothingToContinue)
		}
	} else {
		if d.unfinished {
			return d.fail(errMessageUnfinished)
		}
		d.message = d.h.Opcode
		d.unfinished = true
		d.size = 0
		d.fragments = 0
	}
	d.fragments++
	limits := &d.terms.Limits
	switch {
	case d.h.Length > limits.FrameSize:
		return d.fail(&LimitError{"FrameSize", limits.FrameSize, CloseMessageTooBig})
	case d.h.Length > d.terms.payloadMost(d.compressed || d.h.Rsv != 0)-d.size:
		return d.fail(&LimitError{"MessageSize", limits.MessageSize, CloseMessageTooBig})
	}
	d.size += d.h.Length
	if most := limits.fragmentsMost(d.size); int64(d.fragments) > most {
		return d.fail(&LimitError{"Fragments", most, ClosePolicyViolation})
	}
	if d.h.Rsv != 0 {
		d.beginInflating()
	}
	if d.compressed {
		d.beginInflatingFrame()
	}
	return nil
}

// take handles payload of the open data frame in place: it is unmasked, validated
// and counted.
func (d *Decoder) take(payload []byte) error {
	ok := true
	text := d.message == OpText
	switch {
	case d.h.Masked && text:
		var pos int
		pos, ok = d.text.Unmask(payload, d.h.Key, int(d.pos))
		d.pos = uint8(pos)
	case d.h.Masked:
		d.pos = uint8(mask.XOR(payload, d.h.Key, int(d.pos)))
	case text:
		ok = d.text.Write(payload)
	}
	return d.count(len(payload), ok)
}

// move is take for payload that is copied from src to dst on the way, as much as
// fits both and the frame. It returns that part of dst.
func (d *Decoder) move(dst, src []byte) ([]byte, error) {
	n := int(min(int64(len(dst)), int64(len(src)), d.h.Remaining))
	dst, src = dst[:n], src[:n]
	ok := true
	text := d.message == OpText
	switch {
	case d.h.Masked:
		d.pos = uint8(mask.Copy(dst, src, d.h.Key, int(d.pos)))
		if text {
			ok = d.text.Write(dst)
		}
	case text:
		ok = d.text.Copy(dst, src)
	default:
		copy(dst, src)
	}
	return dst, d.count(n, ok)
}

// count accounts for n bytes of payload of the open data frame, which are good text
// if they are to be text.
func (d *Decoder) count(n int, ok bool) error {
	if !ok {
		return d.fail(errNotUTF8)
	}
	d.h.Remaining -= int64(n)
	if d.h.Remaining > 0 {
		return nil
	}
	d.open = false
	if !d.h.Fin {
		return nil
	}
	d.unfinished = false
	if d.message == OpText && !d.text.Complete() {
		return d.fail(errNotUTF8)
	}
	return nil
}

// control handles payload of the open control frame from the start of src. The
// event comes when all of it is there.
func (d *Decoder) control(src []byte) (kind EventKind, payload []byte, n int, err error) {
	n = int(min(int64(len(src)), d.h.Remaining))
	d.h.Remaining -= int64(n)
	whole := d.h.Remaining == 0
	if whole && d.cut == nil {
		payload = src[:n:n]
	} else {
		if d.cut == nil {
			d.cut = cuts.Get().(*cut)
		}
		d.cut.n += copy(d.cut.b[d.cut.n:], src[:n])
		if !whole {
			return EventNone, nil, n, nil
		}
		d.cut.spent = true
		payload = d.cut.b[:d.cut.n:d.cut.n]
	}
	if d.h.Masked {
		mask.XOR(payload, d.h.Key, 0)
	}
	d.open = false
	switch d.h.Opcode {
	case OpPing:
		return EventPing, payload, n, nil
	case OpPong:
		return EventPong, payload, n, nil
	}
	if _, _, err := ParseClose(payload); err != nil {
		return EventNone, nil, n, d.fail(err)
	}
	d.closed = true
	return EventClose, payload, n, nil
}

// idle reports whether nothing is under way: neither a message nor a frame nor a header,
// and it is not over.
func (d *Decoder) idle() bool {
	return !d.open && !d.unfinished && d.cut == nil && !d.closed && d.err == nil
}

// begun reports whether a part of the payload of the message under way was handed out.
func (d *Decoder) begun() bool {
	switch {
	case !d.unfinished:
		return false
	case d.compressed:
		return d.terms.compression.in.work.size > 0
	case d.open && d.h.Opcode.IsData():
		return d.size > d.h.Remaining
	}
	return d.size > 0
}

// header returns what is known of the frame under way.
func (d *Decoder) header() Header {
	if !d.open || d.h.Opcode.IsControl() {
		return Header{Opcode: OpNone}
	}
	return d.h
}
