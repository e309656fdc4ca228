package engine

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/goroutine"
	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
)

// pieceSize is the size up to which a frame leaves in one write. A larger one is
// masked and written piece by piece, in the memory of one piece.
const pieceSize = 128 << 10

// sendState is what the sending side of a Conn remembers, under its lock.
//
// Frames are encoded into a batch. One sender at a time writes, without holding
// the lock; those who come meanwhile put their frames into the next batch, wait,
// and one of them writes it: what gathers during a write leaves in one.
type sendState struct {
	mu       sync.Mutex
	err      *CloseError    // why nothing can be sent any more
	batch    *buffer.Buffer // frames encoded and not written; nil: none
	gathered uint32         // number of the batch
	written  uint32         // how many batches were written
	writing  bool           // a sender writes, without the lock
	left     bool           // nobody waits for the batch: who writes takes it along
	corked   bool           // Cork was called
	handling bool           // a batch of received bytes is being handled

	message Opcode         // the fragmented message under way, or OpNone
	text    utf8.Validator // of its text

	closing *CloseError // a close frame was sent: how the connection ends
	ended   bool        // the peer's close frame came, or the stream ended
	ending  bool        // somebody ends the connection
	pushed  bool        // data goes to a Handler
	refuses bool        // a full queue makes a send fail, not wait
	handler uint32      // the goroutine that handles received bytes

	sent     *sentCounts     // nil: nothing was counted yet
	received *receivedCounts // likewise
	seldom   *seldom         // nil: there was no need
}

// SendText sends p as one text message (RFC 6455 section 5.6). p must be UTF-8,
// else ErrInvalidUTF8 is returned and nothing sent. p is not changed, and not
// kept. It may be called from any goroutine.
//
// Nil says that the frame was given to the transport, or that it has joined others that leave
// together: under Cork, and where a Handler sends or runs while another goroutine does. If those
// can't be written, the next send says so, or Flush, and so does OnClose if the peer has sent no
// close frame.
//
// Errors: ErrFrameOrder inside a fragmented message; a *LimitError when too much
// waits for the peer, see Limits.WhenFull; after Close or the peer's close frame a
// *CloseError; after a write failed or its deadline passed, a *CloseError with
// CloseAbnormal, also from every later send. That ends sending only: what the peer has sent, up
// to its close frame, can still be received for Limits.CloseTimeout.
func (c *Conn) SendText(p []byte) error { return c.SendFrame(OpText, true, p) }

// SendBinary sends p as one binary message (RFC 6455 section 5.6). See SendText.
func (c *Conn) SendBinary(p []byte) error { return c.SendFrame(OpBinary, true, p) }

// SendPing sends a ping with at most 125 bytes of payload (RFC 6455 section
// 5.5.2), else ErrControlTooLong. The pong is counted in Stats. See SendText.
func (c *Conn) SendPing(p []byte) error { return c.SendFrame(OpPing, true, p) }

// SendPong sends an unsolicited pong with at most 125 bytes of payload, a
// one-way heartbeat (RFC 6455 section 5.5.3), else ErrControlTooLong. Pings are
// answered without it. See SendText.
func (c *Conn) SendPong(p []byte) error { return c.SendFrame(OpPong, true, p) }

// SendFrame sends p as one frame. A fragmented message begins with OpText or
// OpBinary and fin false, goes on with OpContinuation, and ends with fin true;
// pings and pongs may come between (RFC 6455 section 5.4). Text may be cut inside
// a character, but ErrInvalidUTF8 is returned for the first fragment that can't
// be part of valid text, and that fragment isn't sent. Close frames are sent by
// CloseWith. See SendText.
func (c *Conn) SendFrame(op Opcode, fin bool, p []byte) error {
	return c.sendFrame(nil, op, fin, p)
}

// sendFrame is SendFrame for w, or for who isn't a writer if it is nil.
func (c *Conn) sendFrame(w *messageWriter, op Opcode, fin bool, p []byte) error {
	if err := checkText(op, fin, p); err != nil {
		return err
	}
	s := &c.send
	s.mu.Lock()
	defer s.mu.Unlock()
	if z := c.compression(); z != nil && z.compresses(op, fin, len(p)) {
		return c.sendDeflated(w, op, fin, p)
	}
	if len(p) > pieceSize {
		return c.sendLarge(w, op, fin, p)
	}
	if err := c.makeWay(len(p)); err != nil {
		return err
	}
	if err := s.admit(w, op, fin, p); err != nil {
		return err
	}
	c.encode(op, fin, p)
	return c.commit()
}

// checkText refuses an unfragmented text message that isn't UTF-8. It needs no
// lock.
func checkText(op Opcode, fin bool, p []byte) error {
	if op == OpText && fin && !utf8.Valid(p) {
		return ErrInvalidUTF8
	}
	return nil
}

// over returns why nothing can be sent any more, or nil.
func (s *sendState) over() error {
	if s.closing != nil {
		return s.closing
	}
	return s.writeError()
}

// writeError returns why a frame that was accepted has not been written, or nil.
func (s *sendState) writeError() error {
	if s.err == nil {
		return nil
	}
	return s.err
}

// admit decides whether a frame of w, or of who isn't a writer if it is nil, can be sent here.
func (s *sendState) admit(w *messageWriter, op Opcode, fin bool, p []byte) error {
	if err := s.over(); err != nil {
		return err
	}
	switch {
	case op == OpPing || op == OpPong:
		if !fin {
			return ErrFrameOrder
		}
		if len(p) > maxControlPayload {
			return ErrControlTooLong
		}
		return nil
	case !op.IsData() || op.startsMessage() != (s.message == OpNone), op == OpContinuation && !s.mayContinue(w):
		return s.outOfOrder()
	case fin && op != OpContinuation:
		return nil
	}
	return s.admitFragment(w, op, fin, p)
}

func (s *sendState) admitFragment(w *messageWriter, op Opcode, fin bool, p []byte) error {
	message := s.message
	if op != OpContinuation {
		message = op
	}
	if message == OpText {
		text := s.text
		if !text.Write(p) || fin && !text.Complete() {
			return ErrInvalidUTF8
		}
		s.text = text
	}
	s.message = message
	if fin {
		s.message = OpNone
	}
	if w != nil {
		w.op = OpContinuation
	}
	return nil
}

// sendAdmitted sends a frame that was admitted and counted. If it can be of more than one
// piece, the turn was taken.
func (c *Conn) sendAdmitted(op Opcode, fin bool, rsv uint8, p []byte) error {
	if len(p) > pieceSize {
		return c.writePieces(op, fin, rsv, p)
	}
	c.encodeCounted(op, fin, rsv, p)
	return c.commit()
}

// encode appends a frame to the batch: copied and masked in one pass.
func (c *Conn) encode(op Opcode, fin bool, p []byte) {
	c.send.count(op, fin, len(p))
	c.encodeCounted(op, fin, 0, p)
}

func (c *Conn) encodeCounted(op Opcode, fin bool, rsv uint8, p []byte) {
	s := &c.send
	size := headerSize(len(p), c.role() == Client) + len(p)
	if s.batch == nil {
		s.batch = buffer.Get(s.batchSize(size))
	} else {
		s.batch.Grow(size)
	}
	h := Header{Fin: fin, Rsv: rsv, Opcode: op, Length: int64(len(p))}
	c.maskWithNewKey(&h, s.batch)
	b := appendHeader(s.batch.B, &h)
	at := len(b)
	b = b[:at+len(p)]
	if h.Masked {
		mask.Copy(b[at:], p, h.Key, 0)
	} else {
		copy(b[at:], p)
	}
	s.batch.B = b
}

// batchSize is how large a batch begins that has a frame of size bytes: where others are
// likely to follow, with room for some of them.
func (s *sendState) batchSize(size int) int {
	if s.gathers() {
		return max(size, 2<<10)
	}
	return size
}

// maskWithNewKey makes h that of a masked frame, if we are to mask (RFC 6455 section 5.3). The
// key comes from the buffer that the frame goes to.
func (c *Conn) maskWithNewKey(h *Header, b *buffer.Buffer) {
	if c.role() == Client {
		h.Masked = true
		h.Key = b.NewKey()
	}
}

func (s *sendState) count(op Opcode, fin bool, n int) {
	sent := s.countsSent()
	switch {
	case op == OpPong:
		sent.pongs++
	case op.IsData():
		sent.frames++
		sent.payload += uint64(n)
		if fin {
			sent.messages++
		}
	}
}

// commit sees the batch written, by this sender or another, unless it is held
// back. The lock is held, but not while writing or waiting.
func (c *Conn) commit() error {
	s := &c.send
	if few := len(s.batch.B) < c.limits().SendQueue; few && s.heldBack() {
		return nil
	} else if few && s.handling { // the Handler may wait for this send, and must not wait for the peer
		c.flushPending()
		return s.writeError()
	}
	mine := s.gathered
	for s.err == nil {
		waiting := !s.isWritten(mine)
		switch {
		case waiting && s.writing:
			s.wait()
		case waiting:
			c.writeBatch()
		default:
			return c.writeLeft()
		}
	}
	if s.isWritten(mine) {
		return nil
	}
	return s.writeError()
}

// writeLeft writes what nobody waits for. So this sender is told if that fails.
func (c *Conn) writeLeft() error {
	s := &c.send
	for s.err == nil && !s.writing && (c.answerPing() || s.left) {
		c.writeBatch()
	}
	return s.writeError()
}

// isWritten reports whether the batch of that number is out. Numbers wrap.
func (s *sendState) isWritten(batch uint32) bool { return int32(s.written-batch) > 0 }

// gathers reports whether a frame joins others, not written yet, rather than being written alone.
func (s *sendState) gathers() bool { return s.corked || s.handling }

// heldBack reports whether frames gather until somebody flushes them.
// Those of a Handler do until all bytes that have been received are handled: they leave in one
// write. A send of another goroutine must not wait for the Handler, which can take its time; it
// writes at once, and takes along what has gathered. Which of the two a send is only the
// goroutine tells that it comes from: the Conn that a Handler gets is the one that all others
// have. A timer that writes what a slow Handler holds back would make others wait for it, and a
// write for each send costs a Handler that answers many messages a system call for each.
func (s *sendState) heldBack() bool {
	return s.corked || s.inHandler()
}

// inHandler reports whether the caller is in a call of the Handler.
func (s *sendState) inHandler() bool { return s.handling && s.handler == goroutine.ID() }

// wait waits until another sender's write has ended.
func (s *sendState) wait() {
	need := s.need()
	if need.turn == nil {
		need.turn = sync.NewCond(&s.mu)
	}
	need.turn.Wait()
}

// writeBatch writes the batch, and the pong that has become due.
func (c *Conn) writeBatch() {
	b := c.takeBatch()
	c.batchIsOut(b, c.write(b, b.B, nil))
}

// takeBatch returns what has gathered, and the pong that has become due.
func (c *Conn) takeBatch() *buffer.Buffer {
	c.answerPing()
	s := &c.send
	b := s.batch
	s.batch, s.left = nil, false
	s.gathered++
	return b
}

// batchIsOut ends the write of a batch. That the connection may have ended meanwhile is no
// failure of the write.
func (c *Conn) batchIsOut(b *buffer.Buffer, err error) {
	if err == nil {
		c.send.written++
	}
	b.Put()
}

// write gives one or two slices to the transport, without the lock. vec lends the
// memory for the call.
func (c *Conn) write(vec *buffer.Buffer, first, second []byte) error {
	s := &c.send
	s.writing = true
	s.mu.Unlock()
	vec.Vec[0] = first
	bufs := vec.Vec[:1]
	if second != nil {
		vec.Vec[1] = second
		bufs = vec.Vec[:2]
	}
	err := c.t.Writev(bufs...)
	s.mu.Lock()
	c.wrote(len(first)+len(second), err)
	return err
}

// wrote ends a write of n bytes.
func (c *Conn) wrote(n int, err error) {
	s := &c.send
	s.writing = false
	sent := s.countsSent()
	sent.writes++
	sent.wire += uint64(n)
	if err != nil {
		c.sendFailed(err)
	}
	s.tell()
}

// tell wakes those who wait for a write to end.
func (s *sendState) tell() {
	if turn := s.peek().turn; turn != nil {
		turn.Broadcast()
	}
}

// sendFailed ends sending for good: a part of a frame may be out. What the peer has sent is still
// received, since its close frame may say why, but it has little time left.
func (c *Conn) sendFailed(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("websock: a write did not end in time, a part of a frame may be out: %w", err)
	}
	c.send.end(&CloseError{Code: CloseAbnormal, Err: err})
	c.limitEnd()
}

// end notes why nothing can be sent any more, unless that is known, and gives back what waits
// to be.
func (s *sendState) end(how *CloseError) {
	if s.err == nil {
		s.err = how
	}
	if s.batch != nil {
		s.batch.Put()
		s.batch = nil
	}
	s.dropPing()
}

// takeTurn waits until nobody else writes and all that gathered before is out.
func (c *Conn) takeTurn() {
	s := &c.send
	for s.err == nil && (s.writing || s.batch != nil) {
		if s.writing {
			s.wait()
		} else {
			c.writeBatch()
		}
	}
}

// sendLarge sends a frame of more than one piece. Nobody else writes until all of
// it is out.
func (c *Conn) sendLarge(w *messageWriter, op Opcode, fin bool, p []byte) error {
	s := &c.send
	if err := c.makeWay(len(p)); err != nil {
		return err
	}
	c.takeTurn()
	if err := s.admit(w, op, fin, p); err != nil {
		return err
	}
	s.count(op, fin, len(p))
	return c.writePieces(op, fin, 0, p)
}

// writePieces writes a frame piece by piece.
func (c *Conn) writePieces(op Opcode, fin bool, rsv uint8, p []byte) error {
	s := &c.send
	h := Header{Fin: fin, Rsv: rsv, Opcode: op, Length: int64(len(p))}
	b := buffer.Get(MaxHeaderSize + pieceSize)
	defer b.Put()
	c.maskWithNewKey(&h, b)
	b.B = appendHeader(b.B, &h)
	if !h.Masked {
		return c.writeUnmasked(b, p)
	}
	for pos := 0; len(p) > 0 && s.err == nil; {
		at := len(b.B)
		piece := p[:min(len(p), pieceSize)]
		p = p[len(piece):]
		b.B = b.B[:at+len(piece)]
		pos = mask.Copy(b.B[at:], piece, h.Key, pos)
		c.write(b, b.B, nil)
		b.B = b.B[:0]
		if !s.refuses && c.crowded(len(p)) {
			c.waitForPeer(len(p))
		}
	}
	return c.writeLeft()
}

// writeUnmasked writes a header and a payload as it is: at once where the transport queues what
// the peer doesn't take, else piece by piece, so that the counts tell how far the peer has come.
func (c *Conn) writeUnmasked(header *buffer.Buffer, p []byte) error {
	s := &c.send
	most := 2 * pieceSize
	if c.Queues() {
		most = len(p)
	}
	piece := p[:min(len(p), most)]
	c.write(header, header.B, piece)
	for p = p[len(piece):]; len(p) > 0 && s.err == nil; p = p[len(piece):] {
		piece = p[:min(len(p), most)]
		c.write(header, piece, nil)
	}
	return c.writeLeft()
}
