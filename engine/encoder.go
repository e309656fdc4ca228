package engine

import (
	"slices"
	"sync"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/deflate"
	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
)

// An Encoder encodes messages as frames and checks that we follow RFC 6455: fragmentation (section
// 5.4), control frames (5.5), UTF-8 (8.1), masking (5.1), and compression (RFC 7692). It does no
// I/O and doesn't keep its arguments. Only one goroutine at a time may use it.
//
// Append is all that most callers need. A caller that writes frames in another way takes the steps
// itself: Accept, Compress if Compresses reports true, and AppendFrame, or Header and masking of
// its own.
type Encoder struct {
	deflate *PerMessageDeflate // nil: compression was not negotiated
	role    Role
	message Opcode         // opcode of the current fragmented message, or OpNone
	text    utf8.Validator // state of its text
}

// NewEncoder returns an Encoder for the frames that role sends; a Client masks them. z is the state
// of the connection, or nil if compression was not negotiated.
func NewEncoder(role Role, z *PerMessageDeflate) *Encoder {
	e := new(Encoder)
	e.Init(role, z)
	return e
}

// Init initializes e like NewEncoder, for an Encoder that is part of another struct.
func (e *Encoder) Init(role Role, z *PerMessageDeflate) {
	*e = Encoder{role: role, deflate: z, message: OpNone}
}

// Role returns the side that sends the frames.
func (e *Encoder) Role() Role { return e.role }

// Append appends a frame with payload p to dst and returns the extended slice. It compresses the
// payload if that was negotiated and makes it smaller. A client masks it with key, which must be
// unpredictable and new for each frame (RFC 6455 section 5.3): see mask.Keys. For OpClose, p must
// come from AppendClose.
//
// On an error, which is that of Accept, dst is returned unchanged.
func (e *Encoder) Append(dst []byte, key [4]byte, op Opcode, fin bool, p []byte) ([]byte, error) {
	if op == OpText && fin && !utf8.Valid(p) {
		return dst, ErrInvalidUTF8
	}
	err := error(nil)
	if op == OpClose {
		err = acceptControl(fin, p)
	} else {
		err = e.Accept(op, fin, p)
	}
	if err != nil {
		return dst, err
	}
	rsv := uint8(0)
	if e.Compresses(op, fin, len(p)) {
		out := buffer.Get(CompressedBound(len(p)))
		defer out.Put()
		rsv, p = e.Compress(out.B, op, fin, p)
	}
	return e.AppendFrame(dst, key, op, fin, rsv, p), nil
}

// Accept checks whether a frame can be sent after those accepted before, and if so takes it as
// sent. It returns ErrFrameOrder if the frame must not be sent now, ErrControlTooLong if a control
// frame has more than 125 bytes, and ErrInvalidUTF8 if a fragment can't be part of valid text. It
// doesn't check the text of an unfragmented message, nor close frames: see Closing.
func (e *Encoder) Accept(op Opcode, fin bool, p []byte) error {
	switch {
	case fin && e.AcceptsUnfragmented(op):
		return nil
	case op == OpPing || op == OpPong:
		return acceptControl(fin, p)
	case !op.IsData() || op.StartsMessage() != (e.message == OpNone):
		return ErrFrameOrder
	}
	return e.acceptFragment(op, fin, p)
}

// acceptControl is Accept for a control frame.
func acceptControl(fin bool, p []byte) error {
	switch {
	case !fin:
		return ErrFrameOrder
	case len(p) > MaxControlPayload:
		return ErrControlTooLong
	}
	return nil
}

// AcceptsUnfragmented reports whether an unfragmented message can be sent after the frames accepted
// before. It is a fast path of Accept.
func (e *Encoder) AcceptsUnfragmented(op Opcode) bool {
	return op.StartsMessage() && e.message == OpNone
}

// acceptFragment is Accept for a frame of a fragmented message.
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

// InMessage reports whether the final fragment of a message has not been sent.
func (e *Encoder) InMessage() bool { return e.message != OpNone }

// FrameSize returns the size in bytes of a frame with n bytes of payload.
func (e *Encoder) FrameSize(n int) int { return headerSize(int64(n), e.role == Client) + n }

// Header returns the header of a frame with n bytes of payload; for a client it is masked with key.
func (e *Encoder) Header(key [4]byte, op Opcode, fin bool, rsv uint8, n int) Header {
	h := Header{Fin: fin, Rsv: rsv, Opcode: op, Length: int64(n)}
	if e.role == Client {
		h.Masked, h.Key = true, key
	}
	return h
}

// AppendFrame appends a frame with payload p, which is not compressed further, to dst and returns
// the extended slice. It copies and masks p in one pass.
func (e *Encoder) AppendFrame(dst []byte, key [4]byte, op Opcode, fin bool, rsv uint8, p []byte) []byte {
	size := e.FrameSize(len(p))
	dst = slices.Grow(dst, size)
	at := len(dst)
	dst = dst[:at+size]
	frame := dst[at:]
	payload := frame[size-len(p):]
	frame[0] = firstByte(op, fin, rsv)
	if e.role == Client {
		putLength(frame, int64(len(p)), maskBit)
		*(*[4]byte)(frame[size-len(p)-len(key):]) = key
		mask.Copy(payload, p, key, 0)
	} else {
		putLength(frame, int64(len(p)), 0)
		copy(payload, p)
	}
	return dst
}

// PutHeader writes a frame header in front of its payload, which is b without its first
// MaxHeaderSize bytes, and returns the index in b at which the frame begins. For a client it masks
// the payload in place.
func (e *Encoder) PutHeader(b []byte, key [4]byte, op Opcode, fin bool) (start int) {
	payload := b[MaxHeaderSize:]
	h := e.Header(key, op, fin, 0, len(payload))
	if h.Masked {
		mask.XOR(payload, h.Key, 0)
	}
	start = MaxHeaderSize - headerSize(h.Length, h.Masked)
	appendHeader(b[start:start], &h)
	return start
}

// deflaters are pools of Deflaters for each level and window size.
var deflaters [maxLevel + 1][maxWindowBits + 1]sync.Pool

// Compresses reports whether the payload of a frame of n bytes must be given to Compress.
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

// CompressesMessage is Compresses for an unfragmented message of n bytes. Unlike other methods of
// the Encoder it may be called from any goroutine.
func (e *Encoder) CompressesMessage(n int) bool {
	return e.deflate != nil && n >= e.deflate.agreed.Threshold
}

// CompressedBound returns the maximum size of n bytes of payload after Compress.
func CompressedBound(n int) int { return deflate.Bound(n) }

// Compress compresses the payload of an accepted frame and appends it to out. It returns the
// reserved bits and the payload of the frame: what was appended, or p itself if p is a whole
// message that compression doesn't make smaller. If out has room for CompressedBound(len(p)) bytes,
// it is not reallocated.
func (e *Encoder) Compress(out []byte, op Opcode, fin bool, p []byte) (rsv uint8, payload []byte) {
	z := e.deflate
	before := len(out)
	out = z.agreed.deflate(out, fin, p, &z.out.history)
	if op.StartsMessage() {
		if fin && len(out)-before >= len(p) {
			return 0, p
		}
		rsv = RSV1
		z.out.compressed = !fin
	}
	e.Compressed(p, len(out)-before)
	return rsv, out[before:]
}

// Compressed records that payload p was sent, compressed to size bytes. Only callers that don't use
// Compress need it. Later messages refer to p.
func (e *Encoder) Compressed(p []byte, size int) {
	z := e.deflate
	z.out.before += uint64(len(p))
	z.out.after += uint64(size)
	if z.agreed.SendTakeover {
		z.out.history.Append(p)
	}
}

// Deflate returns the z given to Init.
func (e *Encoder) Deflate() *PerMessageDeflate { return e.deflate }

// AppendCompressed appends the compressed payload of a whole message to out. It doesn't refer to
// earlier messages, so that every connection that has negotiated c can send it, with RSV1 set.
func (c Compression) AppendCompressed(out []byte, p []byte) []byte {
	return c.deflate(out, true, p, &deflate.History{})
}

// deflate compresses payload that may refer to dict and appends it to out. At the end of a message
// it omits the tail of the deflate stream (RFC 7692 section 7.2.1). An empty fragment stays empty: Netty
// takes a frame that decompresses to nothing for a broken one.
func (c *Compression) deflate(out []byte, fin bool, p []byte, dict *deflate.History) []byte {
	if len(p) == 0 && !fin {
		return out
	}
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
