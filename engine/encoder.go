package engine

import (
	"slices"
	"sync"

	"github.com/seed004e8d11/websock/internal/deflate"
	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
)

// An Encoder turns messages into frames and holds us to RFC 6455: fragmentation (section 5.4),
// control frames (5.5), UTF-8 (8.1), masking (5.1), and compression (RFC 7692). It does no I/O and
// keeps nothing of what it is given. One goroutine at a time uses it.
//
// Append does all of the work. A caller that writes frames otherwise takes the steps by itself:
// Accept, Compress where Compresses says so, and AppendFrame or a header and masking of its own.
type Encoder struct {
	deflate *PerMessageDeflate // nil: compression was not agreed
	role    Role
	message Opcode         // the fragmented message under way, or OpNone
	text    utf8.Validator // of its text
}

// NewEncoder returns an Encoder for the frames that role sends: a Client's are masked. z is the
// connection's, or nil if compression was not agreed.
func NewEncoder(role Role, z *PerMessageDeflate) *Encoder {
	e := new(Encoder)
	e.Init(role, z)
	return e
}

// Init makes e as NewEncoder returns it, for an Encoder that is part of another struct.
func (e *Encoder) Init(role Role, z *PerMessageDeflate) {
	*e = Encoder{role: role, deflate: z, message: OpNone}
}

// Role returns the side for which the Encoder sends.
func (e *Encoder) Role() Role { return e.role }

// Append appends a frame with payload p to dst, compressed if that was agreed and makes it
// smaller, and returns the extended slice. A client masks it with key, which must be
// unpredictable and new for each frame (RFC 6455 section 5.3): see mask.Keys. op may be OpClose, with a
// payload of AppendClose.
//
// On an error, which is that of Accept, dst is returned as it was.
func (e *Encoder) Append(dst []byte, key [4]byte, op Opcode, fin bool, p []byte) ([]byte, error) {
	if op == OpText && fin && !utf8.Valid(p) {
		return dst, ErrInvalidUTF8
	}
	if op != OpClose {
		if err := e.Accept(op, fin, p); err != nil {
			return dst, err
		}
	}
	rsv := uint8(0)
	if e.Compresses(op, fin, len(p)) {
		rsv, p = e.Compress(nil, op, fin, p)
	}
	return e.AppendFrame(dst, key, op, fin, rsv, p), nil
}

// Accept decides whether a frame can be sent after those accepted before it, and if so counts it as
// sent: ErrFrameOrder says that it can't stand here, ErrControlTooLong that a control frame has more
// than 125 bytes, ErrInvalidUTF8 that a fragment can't be part of a valid text. The text of an
// unfragmented message is not looked at. Close frames are the caller's: see Closing.
func (e *Encoder) Accept(op Opcode, fin bool, p []byte) error {
	switch {
	case fin && e.AcceptsUnfragmented(op):
		return nil
	case op == OpPing || op == OpPong:
		if !fin {
			return ErrFrameOrder
		}
		if len(p) > maxControlPayload {
			return ErrControlTooLong
		}
		return nil
	case !op.IsData() || op.StartsMessage() != (e.message == OpNone):
		return ErrFrameOrder
	}
	return e.acceptFragment(op, fin, p)
}

// AcceptsUnfragmented reports whether an unfragmented message can be sent after the frames that were
// accepted. It is Accept for what is sent most.
func (e *Encoder) AcceptsUnfragmented(op Opcode) bool {
	return op.StartsMessage() && e.message == OpNone
}

func (e *Encoder) acceptFragment(op Opcode, fin bool, p []byte) error {
	message := e.message
	if op != OpContinuation {
		message = op
	}
	if message == OpText {
		text := e.text
		if !text.Write(p) || fin && !text.Complete() {
			return ErrInvalidUTF8
		}
		e.text = text
	}
	e.message = message
	if fin {
		e.message = OpNone
	}
	return nil
}

// InMessage reports whether a fragmented message is under way.
func (e *Encoder) InMessage() bool { return e.message != OpNone }

// FrameSize returns the size in bytes of a frame with n bytes of payload.
func (e *Encoder) FrameSize(n int) int { return headerSize(n, e.role == Client) + n }

// Header returns the header of a frame with n bytes of payload, masked with key in the client role.
func (e *Encoder) Header(key [4]byte, op Opcode, fin bool, rsv uint8, n int) Header {
	h := Header{Fin: fin, Rsv: rsv, Opcode: op, Length: int64(n)}
	if e.role == Client {
		h.Masked, h.Key = true, key
	}
	return h
}

// AppendFrame appends a frame with payload p as it is to dst, copying and masking in one pass, and
// returns the extended slice.
func (e *Encoder) AppendFrame(dst []byte, key [4]byte, op Opcode, fin bool, rsv uint8, p []byte) []byte {
	size := e.FrameSize(len(p))
	dst = slices.Grow(dst, size)
	at := len(dst)
	dst = dst[:at+size]
	frame := dst[at:]
	payload := frame[size-len(p):]
	frame[0] = firstByte(op, fin, rsv)
	if e.role == Client {
		putLength(frame, len(p), maskBit)
		*(*[4]byte)(frame[size-len(p)-len(key):]) = key
		mask.Copy(payload, p, key, 0)
	} else {
		putLength(frame, len(p), 0)
		copy(payload, p)
	}
	return dst
}

// PutHeader writes the header of a frame that is already in memory in front of its payload, which
// it masks in place in the client role, and returns where the frame begins. The payload is b
// without its first MaxHeaderSize bytes, the room for the header.
func (e *Encoder) PutHeader(b []byte, key [4]byte, op Opcode, fin bool) (start int) {
	payload := b[MaxHeaderSize:]
	h := e.Header(key, op, fin, 0, len(payload))
	if h.Masked {
		mask.XOR(payload, h.Key, 0)
	}
	start = MaxHeaderSize - headerSize(len(payload), h.Masked)
	appendHeader(b[start:start], &h)
	return start
}

// deflaters are pooled for each level and window.
var deflaters [maxLevel + 1][maxWindowBits + 1]sync.Pool

// Compresses reports whether a frame with n bytes of payload is to be compressed.
func (e *Encoder) Compresses(op Opcode, fin bool, n int) bool {
	switch {
	case e.deflate == nil || op.IsControl():
		return false
	case op == OpContinuation:
		return e.deflate.out.compressed
	case fin:
		return e.CompressesMessage(n)
	}
	return true
}

// CompressesMessage reports whether an unfragmented message of n bytes is to be compressed. Unlike
// the Encoder's other methods it may be called from any goroutine.
func (e *Encoder) CompressesMessage(n int) bool {
	return e.deflate != nil && n >= e.deflate.agreed.Threshold
}

// CompressedBound returns the most that n bytes of payload can take after Compress.
func CompressedBound(n int) int { return deflate.Bound(n) }

// Compress appends the payload of an accepted frame to out compressed, and returns the frame's
// reserved bits and payload: the extended slice, or p itself if that is a whole message that doesn't
// become smaller. With CompressedBound(len(p)) bytes of room out is not reallocated.
func (e *Encoder) Compress(out []byte, op Opcode, fin bool, p []byte) (rsv uint8, payload []byte) {
	z := e.deflate
	before := len(out)
	out = z.agreed.deflate(out, fin, p, &z.out.history)
	if op.StartsMessage() {
		if fin && len(out)-before >= len(p) {
			return 0, p
		}
		rsv = rsv1
		z.out.compressed = !fin
	}
	e.Compressed(p, len(out)-before)
	return rsv, out[before:]
}

// Compressed tells the Encoder that payload p is sent, compressed to size bytes. Only a caller that
// compresses messages by itself calls it. Later messages refer to p.
func (e *Encoder) Compressed(p []byte, size int) {
	z := e.deflate
	z.out.before += uint64(len(p))
	z.out.after += uint64(size)
	if z.agreed.SendTakeover {
		z.out.history.Append(p)
	}
}

// Deflate returns what Init was given.
func (e *Encoder) Deflate() *PerMessageDeflate { return e.deflate }

// AppendCompressed appends the payload of a whole message to out, compressed without reference to
// earlier messages, as any connection on which c was agreed can send it with RSV1 set.
func (c Compression) AppendCompressed(out []byte, p []byte) []byte {
	return c.deflate(out, true, p, &deflate.History{})
}

// deflate appends compressed payload to out, which may refer to dict. The end of a message lacks
// its tail (RFC 7692 section 7.2.1).
func (c *Compression) deflate(out []byte, fin bool, p []byte, dict *deflate.History) []byte {
	pool := &deflaters[c.Level][c.SendWindowBits]
	d, ok := pool.Get().(*deflate.Deflater)
	if !ok {
		d = deflate.NewDeflater(c.Level, c.SendWindowBits)
	}
	defer pool.Put(d)
	out = d.Deflate(out, p, dict)
	if fin {
		out = out[:len(out)-len(deflate.Tail)]
	}
	return out
}
