package h2

import (
	"bytes"
	"encoding/binary"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
)

const (
	// batchSize is how many bytes of frames are gathered before they are written, at most and but for
	// one frame.
	batchSize = 64 << 10

	// carrierQueue is how many bytes the carrier may have queued before the streams have to wait.
	// What a stream sends waits behind them, so it isn't much.
	carrierQueue = 128 << 10

	// mostPending and mostPendingOfStream are how many bytes of frames may be pending while the peer
	// takes nothing, and how many more for each stream that there may be: its head and its end. Payload
	// doesn't add to them then, so more are answers that the peer asks for and doesn't read.
	mostPending         = 256 << 10
	mostPendingOfStream = 1 << 10

	// mostPendingHeads is how many bytes of frames may be pending when Open adds another head. Payload
	// alone never comes up to that.
	mostPendingHeads = 192 << 10

	// longFrame is the largest frame that is sent while no other stream waits, and shortFrame while
	// some do, so that all have their turn. With their headers they fill records of TLS.
	longFrame  = 64<<10 - frameHeaderSize
	shortFrame = 16<<10 - frameHeaderSize

	// uncopiedSize is the least payload that is written at once, since it need not be copied then, and
	// longSize that of what is queued that isn't copied into a batch.
	uncopiedSize = 16 << 10
	longSize     = 8 << 10

	// minMaxFrame is the frame size that every peer takes (RFC 9113 section 6.5.2).
	minMaxFrame = 16 << 10

	frameHeaderSize = 9
)

// preface is what a client sends first (RFC 9113 section 3.4).
const preface = http2.ClientPreface

// shutdownPing is the payload of the PING whose answer says that the peer knows of a shutdown.
var shutdownPing = [8]byte{'s', 'h', 'u', 't', 'd', 'o', 'w', 'n'}

// An output sends the frames of a Session. It belongs to the Session's lock, and is written without it
// by one goroutine at a time: what others send meanwhile is written by that goroutine, too.
//
// What the peer may be sent is bounded by the window of the stream, by that of the connection, and by
// the room that the carrier has. What has to wait is queued by its stream. Streams that have something
// queued and a window send in turn, a frame each.
type output struct {
	s       *Session
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer // of encoder
	pending batch        // frames that are not written yet
	current batch        // those that are being written; empty: no write is under way
	vec     [][]byte     // the parts of current
	state   outputState
	err     error         // of the carrier
	wrote   chan struct{} // closed when the write under way has ended; nil: nobody waits for that
	behind  bool          // the goroutine that holds the lock ends a turn, and the carrier is a transport.Batcher
	owed    bool          // the goroutine that writes has to write what is pending, too
	corks   []uint32      // the goroutines that have called Cork and not Flush yet, oldest first
	window  int64         // of the connection
	sending ring          // streams that have something to send, and a window

	fields []hpack.HeaderField // of the header list that is being sent, for Config.Trace
}

// An outputState says what the carrier is doing.
type outputState uint8

const (
	idle    outputState = iota
	writing             // a goroutine writes, or the carrier does
	full                // the carrier has queued so much that streams have to wait
	broken              // nothing can be sent any more
)

func (o *output) init(s *Session) {
	o.s = s
	o.window = defaultWindow
	o.framer = http2.NewFramer((*frameWriter)(o), nil)
	o.encoder = hpack.NewEncoder(&o.block)
}

// begin sends what comes first on a connection (RFC 9113 section 3.4).
func (o *output) begin() {
	c := &o.s.config
	settings := []http2.Setting{
		{ID: http2.SettingInitialWindowSize, Val: uint32(c.Window)},
		{ID: http2.SettingMaxFrameSize, Val: maxFrame},
		{ID: http2.SettingMaxHeaderListSize, Val: uint32(c.MaxHeaderBytes)},
	}
	if o.s.client {
		o.append([]byte(preface))
		settings = append(settings, http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	} else {
		settings = append(settings,
			http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(c.MaxStreams)},
			http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	}
	o.framer.WriteSettings(settings...)
	o.s.settingsSent = timing.Now()
	if more := o.s.connWindow - defaultWindow; more > 0 {
		o.writeWindowUpdate(0, more)
	}
}

// A frameWriter is an output as the io.Writer of its Framer, which writes whole frames.
type frameWriter output

func (w *frameWriter) Write(frame []byte) (int, error) {
	o := (*output)(w)
	o.append(frame)
	if o.s.config.Trace != nil {
		o.s.traceLocked(true, frame, nil)
	}
	return len(frame), nil
}

// append adds bytes to the pending frames.
func (o *output) append(p []byte) {
	if o.state == broken {
		return
	}
	o.pending.add(p)
	o.pending.last = -1
}

// size returns how many bytes of frames are pending.
func (o *output) size() int { return o.pending.size }

// writeHead sends a header list, in as many frames as necessary.
func (o *output) writeHead(st *Stream, fields []hpack.HeaderField, endStream bool) {
	o.fields = fields
	o.block.Reset()
	for _, f := range fields {
		o.encoder.WriteField(f)
	}
	block := o.block.Bytes()
	first := block[:min(len(block), minMaxFrame)]
	block = block[len(first):]
	o.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: st.id, BlockFragment: first, EndStream: endStream, EndHeaders: len(block) == 0,
	})
	for len(block) > 0 {
		next := block[:min(len(block), minMaxFrame)]
		block = block[len(next):]
		o.framer.WriteContinuation(st.id, len(block) == 0, next)
	}
	o.fields = nil
	if o.block.Cap() > 4<<10 {
		o.block = bytes.Buffer{}
	}
}

func (o *output) writePing(ack bool, data [8]byte) { o.framer.WritePing(ack, data) }

func (o *output) writeReset(id uint32, code http2.ErrCode) { o.framer.WriteRSTStream(id, code) }

func (o *output) writeGoAway(last uint32, code http2.ErrCode, text string) {
	o.framer.WriteGoAway(last, code, []byte(text))
}

func (o *output) writeWindowUpdate(id uint32, n int) { o.framer.WriteWindowUpdate(id, uint32(n)) }

// putDataHeader writes the header of a DATA frame to p.
func putDataHeader(p []byte, id uint32, size int, endStream bool) {
	binary.BigEndian.PutUint32(p, uint32(size)<<8|uint32(http2.FrameData))
	p[4] = 0
	if endStream {
		p[4] = byte(http2.FlagDataEndStream)
	}
	binary.BigEndian.PutUint32(p[5:], id)
}

// appendDataHeader adds the header of a DATA frame with size bytes of payload, which the caller adds.
func (o *output) appendDataHeader(st *Stream, size int, endStream bool) {
	b := o.pending.room(frameHeaderSize)
	start := len(b.B)
	o.pending.last = start
	b.B = b.B[:start+frameHeaderSize]
	putDataHeader(b.B[start:], st.id, size, endStream)
	st.sendWindow -= int64(size)
	o.window -= int64(size)
	if o.s.config.Trace != nil {
		o.s.traceLocked(true, b.B[start:], nil)
	}
}

// appendData adds a DATA frame with size bytes of bufs, and returns the rest of bufs. long says that
// the caller writes the batch at once, so that long payload need not be copied.
func (o *output) appendData(st *Stream, bufs [][]byte, size int, long bool) [][]byte {
	o.appendDataHeader(st, size, false)
	for size > 0 {
		p := bufs[0][:min(size, len(bufs[0]))]
		if long && len(p) >= 1<<10 {
			o.pending.addLong(p, nil)
		} else {
			o.pending.add(p)
		}
		size -= len(p)
		if bufs[0] = bufs[0][len(p):]; len(bufs[0]) == 0 {
			bufs = bufs[1:]
		}
	}
	return bufs
}

// appendQueued adds a DATA frame with the size oldest bytes that a stream has queued.
func (o *output) appendQueued(st *Stream, size int, endStream bool) {
	o.appendDataHeader(st, size, endStream)
	for size > 0 {
		front := st.out.queue.front()
		p := front[:min(size, len(front))]
		size -= len(p)
		owner := st.out.queue.take(len(p))
		if len(p) >= longSize && o.s.queue.Queues() {
			o.pending.addLong(p, owner)
			continue
		}
		o.pending.add(p)
		if owner != nil { // earlier bytes of it may be in a batch that isn't written yet
			o.retire(owner)
		}
	}
}

// retire gives b back when the batches that may refer to it were written.
func (o *output) retire(b *buffer.Buffer) {
	switch {
	case !o.s.queue.Queues(): // all payload is copied
		b.Put()
	case o.pending.size > 0:
		o.pending.addLong(nil, b)
	case o.current.size > 0:
		o.current.addLong(nil, b)
	default:
		b.Put()
	}
}

// endLast adds END_STREAM to the last frame that is pending, if that is DATA of the stream. A frame that
// Config.Trace was told of stays as it is.
func (o *output) endLast(st *Stream) bool {
	if o.size() == 0 || o.pending.last < 0 || o.s.config.Trace != nil {
		return false
	}
	frame := o.pending.frames.B[o.pending.last:]
	if parseFrameHeader(frame).stream != st.id {
		return false
	}
	frame[4] |= byte(http2.FlagDataEndStream)
	return true
}

// quota returns how large the next frame of a stream may be.
func (o *output) quota(st *Stream) int {
	most := longFrame
	if !o.sending.empty() {
		most = shortFrame
	}
	return int(max(min(int64(most), int64(o.s.peer.MaxFrame), st.sendWindow, o.window), 0))
}

// hasRoom reports whether streams may send at present, as far as the carrier is concerned.
func (o *output) hasRoom() bool {
	return o.size() < batchSize && (o.state == idle || o.state == writing)
}

// sendDataLocked sends as much of bufs as may be sent, and returns the rest. Nothing is queued by st.
func (s *Session) sendDataLocked(st *Stream, bufs [][]byte, size int) (rest [][]byte) {
	o := &s.out
	for size > 0 && o.sending.empty() && s.streams[st.id] == st { // it may end while the carrier writes
		n := min(size, o.quota(st))
		switch {
		case n == 0:
			return bufs
		case n >= uncopiedSize && o.mayWriteUncopied():
			bufs, n = s.writeUncopiedLocked(st, bufs, size)
		case !o.hasRoom():
			if !s.writeBatchLocked() {
				return bufs
			}
			continue
		default:
			bufs = o.appendData(st, bufs, n, false)
		}
		size -= n
	}
	return bufs
}

// fillLocked gathers frames of the streams that have something queued, as long as there is room.
func (s *Session) fillLocked() {
	o := &s.out
	for o.hasRoom() && o.window > 0 {
		st := o.sending.take()
		if st == nil {
			return
		}
		n := min(st.queuedLocked(), o.quota(st))
		last := n == st.queuedLocked()
		endStream := last && st.has(ending) && st.out.trailer == nil
		o.appendQueued(st, n, endStream)
		st.dequeuedLocked(n)
		switch {
		case !last:
			s.enlistLocked(st)
		case endStream:
			s.endSentLocked(st)
		default:
			st.queueSentLocked()
		}
	}
}

// enlistLocked lets a stream send in turn, if it has something to send and a window.
func (s *Session) enlistLocked(st *Stream) {
	if st.queuedLocked() > 0 && st.sendWindow > 0 && !st.has(enlisted) {
		s.out.sending.add(st)
	}
}

// commitLocked writes what is pending, unless the calling goroutine holds it back: until the end of its
// turn, or until its Flush.
func (s *Session) commitLocked() {
	o := &s.out
	if o.size() < batchSize && !o.owed && (o.isCorked() || s.turn.isMine()) {
		return
	}
	s.flushLocked()
}

// holdsBack reports whether what is pending after a write came under a Cork, which goes on, and so is not
// written by the goroutine that has written what was sent before.
func (o *output) holdsBack() bool {
	return len(o.corks) > 0 && !o.owed && o.size() < batchSize && o.sending.empty()
}

// flushLocked writes what is pending, and what waits for a turn, until the carrier has no more room.
// If another goroutine is writing, that one does it.
func (s *Session) flushLocked() {
	for {
		s.fillLocked()
		if s.out.size() == 0 || !s.writeBatchLocked() || s.out.holdsBack() {
			break
		}
	}
	if s.out.size() > mostPending+mostPendingOfStream*max(s.peak, s.config.MaxStreams) {
		s.violatedLocked(violation(http2.ErrCodeEnhanceYourCalm, "answers are asked for and not read"))
	}
}

// flushBehindLocked is flushLocked at the end of a turn of the carrier.
func (s *Session) flushBehindLocked() {
	b, ok := s.carrier.(transport.Batcher)
	s.out.behind = ok && b.Batches()
	s.flushLocked()
	s.out.behind = false
}

// writeBatchLocked passes the pending frames to the carrier, and reports whether more may follow at
// once. It unlocks meanwhile.
func (s *Session) writeBatchLocked() (more bool) {
	o := &s.out
	o.owed = o.state == writing
	if o.state != idle {
		return false
	}
	if o.size() > mostPendingHeads {
		s.notes.changed = true // Room was 0
	}
	o.pending, o.current = o.current, o.pending
	o.state = writing
	if !s.queue.Queues() {
		return s.tryWriteLocked()
	}
	o.vec = o.current.appendTo(o.vec[:0])
	behind := o.behind
	s.mu.Unlock()
	err := error(nil)
	if behind {
		err = s.carrier.(transport.Batcher).WriteBehind(o.vec...)
	} else {
		err = s.carrier.Writev(o.vec...)
	}
	s.mu.Lock()
	return s.batchWrittenLocked(err)
}

// tryWriteLocked is writeBatchLocked for a carrier that doesn't queue. What it doesn't take at once
// it writes in a goroutine, which then calls Wrote.
func (s *Session) tryWriteLocked() (more bool) {
	frames := s.out.current.frames.B
	s.mu.Unlock()
	rest, err := s.queue.TryWrite(frames)
	s.mu.Lock()
	if rest != nil && err == nil {
		rest.Finish((*writeDone)(s))
		return false
	}
	return s.batchWrittenLocked(err)
}

// A writeDone is a Session as the transport.WriteDone of its carrier.
type writeDone Session

// Wrote goes on after the carrier has written what it did not take at once.
func (w *writeDone) Wrote(err error) {
	s := (*Session)(w)
	s.lock()
	defer s.unlock()
	if s.batchWrittenLocked(err) && !s.out.holdsBack() {
		s.flushLocked()
	}
}

// batchWrittenLocked ends a write, and reports whether another may follow at once.
func (s *Session) batchWrittenLocked(err error) (more bool) {
	o := &s.out
	o.current.release()
	clear(o.vec)
	if o.wrote != nil {
		close(o.wrote)
		o.wrote = nil
	}
	switch {
	case o.state == broken: // the Session has ended meanwhile
		return false
	case err != nil:
		s.sendingFailedLocked(err)
		return false
	}
	// The state comes first: if the carrier's queue becomes empty now, the carrier calls the Session
	// after that, which waits for the lock.
	o.state = full
	if s.carrier.Queued() < carrierQueue {
		o.state = idle
	}
	s.endIfDrainedLocked()
	return o.state == idle
}

// carrierDrainedLocked is called when the carrier may have room again.
func (s *Session) carrierDrainedLocked() {
	if s.out.state == full && s.carrier.Queued() == 0 {
		s.out.state = idle
		s.notes.changed = true // Room may have been 0
		s.flushLocked()
	}
}

// deliver passes what was pending when the Session ended, such as a GOAWAY frame or the last response,
// to the carrier, which lingers until that is sent. It waits only for a write under way: on a carrier that
// queues that does not wait for the peer, and on others not for longer than lingerTime.
func (s *Session) deliver() {
	timeout := time.NewTimer(lingerTime)
	defer timeout.Stop()
	for {
		s.lock()
		o := &s.out
		if o.state == full {
			o.state = idle // nothing more follows, so the carrier's queue does not grow
		}
		s.flushLocked()
		if o.state != writing {
			s.unlock()
			return
		}
		if o.wrote == nil {
			o.wrote = make(chan struct{})
		}
		wrote := o.wrote
		s.unlock()
		select {
		case <-wrote:
		case <-timeout.C:
			return
		}
	}
}

// mayWriteUncopied reports whether the carrier can be given payload without a copy.
func (o *output) mayWriteUncopied() bool {
	return o.state == idle && o.s.queue.Queues()
}

// writeUncopiedLocked writes up to size bytes of bufs with the pending frames before them, and
// returns the rest of bufs and how many bytes it has written.
func (s *Session) writeUncopiedLocked(st *Stream, bufs [][]byte, size int) (rest [][]byte, written int) {
	o := &s.out
	for size = min(size, carrierQueue); written < size; {
		n := min(size-written, o.quota(st))
		if n == 0 {
			break
		}
		bufs = o.appendData(st, bufs, n, true)
		written += n
	}
	s.writeBatchLocked()
	return bufs, written
}

// sendingFailedLocked ends sending: the carrier has failed. The next turn receives what has arrived, and
// then ends the Session: the peer would wait for what was lost.
func (s *Session) sendingFailedLocked(err error) {
	s.out.stop()
	s.out.err = err
	s.phase = max(s.phase, draining)
	s.notes.changed = true
	for _, st := range s.streams {
		st.sendingFailedLocked(&SessionError{Err: err})
	}
	s.wakeLocked()
}

// stop drops what is pending, and all that comes.
func (o *output) stop() {
	o.state = broken
	if o.current.size > 0 { // what the write under way refers to may be owned by pending
		o.current.moveOwned(&o.pending)
	} else {
		o.pending.release()
	}
}

// A ring is the streams that send in turn. Those that had nothing to send before come first, since
// what they send is likely to be short.
type ring struct {
	fresh, old list
	oldNext    bool
}

// A list is a list of streams, linked by their outputs.
type list struct{ first, last *Stream }

func (l *list) add(st *Stream) {
	st.out.in, st.out.prev = l, l.last
	if l.first == nil {
		l.first = st
	} else {
		l.last.out.next = st
	}
	l.last = st
}

func (l *list) remove(st *Stream) {
	o := st.out
	if o.prev == nil {
		l.first = o.next
	} else {
		o.prev.out.next = o.next
	}
	if o.next == nil {
		l.last = o.prev
	} else {
		o.next.out.prev = o.prev
	}
	o.in, o.prev, o.next = nil, nil, nil
}

func (r *ring) empty() bool { return r.fresh.first == nil && r.old.first == nil }

// add adds a stream.
func (r *ring) add(st *Stream) {
	st.flags |= enlisted
	if st.out.served {
		r.old.add(st)
	} else {
		r.fresh.add(st)
	}
}

// remove removes a stream. It must be one of the ring.
func (r *ring) remove(st *Stream) {
	st.out.in.remove(st)
	st.flags &^= enlisted
}

// take takes the next stream that may send, or returns nil. The peer may have closed the window of others.
func (r *ring) take() *Stream {
	for !r.empty() {
		from := &r.fresh
		if r.fresh.first == nil || r.oldNext && r.old.first != nil {
			from = &r.old
		}
		r.oldNext = from == &r.fresh
		st := from.first
		r.remove(st)
		if st.sendWindow > 0 {
			st.out.served = true
			return st
		}
	}
	return nil
}
