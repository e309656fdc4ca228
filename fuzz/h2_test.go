package fuzz

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/bounds"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
)

var connectFields = []hpack.HeaderField{
	{Name: ":method", Value: "CONNECT"},
	{Name: ":protocol", Value: "websocket"},
	{Name: ":scheme", Value: "http"},
	{Name: ":path", Value: "/"},
	{Name: ":authority", Value: "h"},
}

// mostActions bounds what one program does.
const mostActions = 400

// A sessionRun is a Session that gets frames which a program makes, also invalid ones, in pieces, and
// whose streams do what the program says.
type sessionRun struct {
	t       *testing.T
	program program
	cuts    program
	carrier *pieceCarrier
	session *h2.Session
	streams []*h2.Stream
	ends    []*fuzzReceiver
	given   allowance
	checker sentChecker
}

// An allowance is how much the frames of a peer allow us to send, at most.
type allowance struct {
	connection int64
	initial    int64 // largest
	updates    map[uint32]int64
}

func (a *allowance) of(id uint32) int64 { return a.initial + a.updates[id] }

// note notes a frame of the peer, whether it is valid or not.
func (a *allowance) note(kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte) {
	number := func(p []byte) int64 { return int64(p[0]&0x7f)<<24 | int64(p[1])<<16 | int64(p[2])<<8 | int64(p[3]) }
	switch {
	case kind == http2.FrameWindowUpdate && len(payload) == 4 && stream == 0:
		a.connection += number(payload)
	case kind == http2.FrameWindowUpdate && len(payload) == 4:
		a.updates[stream] += number(payload)
	case kind == http2.FrameSettings:
		for ; len(payload) >= 6; payload = payload[6:] {
			if payload[0] == 0 && payload[1] == byte(http2.SettingInitialWindowSize) {
				a.initial = max(a.initial, number(payload[2:]))
			}
		}
	}
}

// A sentChecker checks what a Session sends.
type sentChecker struct {
	bytes  bytes.Buffer
	framer *http2.Framer
	sent   map[uint32]int64
	total  int64
	over   map[uint32]string // streams on which nothing follows, and why
}

// check reads what the Session has sent.
func (c *sentChecker) check(t *testing.T, sent []byte, given *allowance) {
	c.bytes.Write(sent)
	for c.bytes.Len() > 0 {
		f, err := c.framer.ReadFrame()
		if err != nil {
			t.Fatalf("an invalid frame was sent: %v, %v", err, c.framer.ErrorDetail())
		}
		id := f.Header().StreamID
		if why := c.over[id]; why == "RST_STREAM" && f.Header().Type != http2.FrameRSTStream ||
			why != "" && (f.Header().Type == http2.FrameData || f.Header().Type == http2.FrameHeaders) {
			t.Fatalf("%v follows %s", f.Header(), why)
		}
		switch f := f.(type) {
		case *http2.DataFrame:
			n := int64(len(f.Data()))
			c.sent[id] += n
			c.total += n
			if c.sent[id] > given.of(id) || c.total > given.connection {
				t.Fatalf("%d bytes of stream %d were sent of %d, and %d of %d", c.sent[id], id, given.of(id), c.total, given.connection)
			}
			if f.StreamEnded() {
				c.over[id] = "END_STREAM"
			}
		case *http2.MetaHeadersFrame:
			if f.StreamEnded() {
				c.over[id] = "END_STREAM"
			}
		case *http2.RSTStreamFrame:
			c.over[id] = "RST_STREAM"
		}
	}
}

// FuzzSession lets a Session, in both roles, receive frames of which only the lengths are right, or any
// bytes, cut anywhere, while its streams are written, paused and closed. What it sends must be valid and
// within the windows, each Receiver must get its end, and memory is bounded.
func FuzzSession(f *testing.F) {
	settings := "\x04\x00\x00\x00\x04\x01\x00\x00" // and its acknowledgement
	f.Add([]byte(settings+"\x01\x04\x01\x05\x83\x84\x86\x41\x00\x00\x00\x01\x03abc\x0b\x00\x02hi\x00\x01\x01\x03end"), []byte{}, false, false)
	f.Add([]byte(settings+"\x0c\x01\x04\x01\x01\x88\x00\x00\x01\x03abc\x0b\x00\x02hi\x08\x00\x01\x04\x00\x00\x01\x00\x03\x00\x01\x04\x00\x00\x00\x08"), []byte{9, 1, 1}, true, false)
	f.Add([]byte(settings+"\x0c\x0c\x0c\x01\x04\x01\x01\x88\x01\x05\x03\x01\x88\x07\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00"), []byte{30}, true, false)
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x05\x01\x05\x00\x00\x00\x01\x82\x84\x87\x41\x00"), []byte{5, 5}, false, true)
	f.Fuzz(func(t *testing.T, instructions, cuts []byte, client, raw bool) {
		bounds.Check(t, 64<<20, func() {
			r := newSessionRun(t, instructions, cuts, client)
			if raw {
				r.receive(r.program.take(len(r.program)))
			} else {
				for n := 0; n < mostActions && !r.program.ended(); n++ {
					r.act()
				}
			}
			r.finish()
		})
	})
}

func newSessionRun(t *testing.T, instructions, cuts []byte, client bool) *sessionRun {
	r := &sessionRun{t: t, program: instructions, cuts: cuts, carrier: &pieceCarrier{}}
	r.given = allowance{connection: 65535, initial: 65535, updates: map[uint32]int64{}}
	r.checker = sentChecker{sent: map[uint32]int64{}, over: map[uint32]string{}}
	r.checker.framer = http2.NewFramer(nil, &r.checker.bytes)
	r.checker.framer.SetMaxReadFrameSize(1 << 20)
	r.checker.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	config := h2.Config{Window: 3000, MaxStreams: 5, MaxHeaderBytes: 4000, PrefaceRead: !client}
	var err error
	if client {
		r.session, err = h2.NewClient(r.carrier, config)
	} else {
		config.Request = func(st *h2.Stream, h h2.Head) {
			st.SendHead([]hpack.HeaderField{{Name: ":status", Value: "200"}}, h.EndStream)
			r.add(st)
		}
		r.session, err = h2.NewServer(r.carrier, config)
	}
	if err != nil {
		t.Fatal(err)
	}
	if client {
		r.carrier.sent = bytes.TrimPrefix(r.carrier.sent, []byte(http2.ClientPreface))
	}
	r.carrier.turn()
	return r
}

// add has a Receiver of a stream called.
func (r *sessionRun) add(st *h2.Stream) {
	rec := &fuzzReceiver{st: st, ended: make(chan struct{})}
	r.streams = append(r.streams, st)
	r.ends = append(r.ends, rec)
	st.Push(rec)
}

// act carries out an instruction: a frame of the peer, or an action of ours.
func (r *sessionRun) act() {
	kind := r.program.next() % 16
	switch kind {
	default:
		flags, stream := http2.Flags(r.program.next()), uint32(r.program.next()%16)
		payload := r.program.take(int(r.program.next()))
		r.given.note(http2.FrameType(kind), flags, stream, payload)
		var frame bytes.Buffer
		framer := http2.NewFramer(&frame, nil)
		framer.AllowIllegalWrites = true
		framer.WriteRawFrame(http2.FrameType(kind), flags, stream, payload)
		r.receive(frame.Bytes())
	case 11:
		if st := r.stream(); st != nil {
			p := r.program.payload()
			st.Writev(p[:len(p)/2], p[len(p)/2:])
		}
	case 12:
		if st, err := r.session.Open(connectFields, false); err == nil {
			r.add(st)
		}
	case 13:
		if st := r.stream(); st != nil {
			r.end(st, r.program.next())
		}
	case 14:
		if n := r.program.next(); n%4 == 0 {
			r.session.Shutdown()
		} else {
			r.carrier.full = n%2 == 0
		}
	}
	r.carrier.run()
	r.checker.check(r.t, r.carrier.take(), &r.given)
}

// stream returns a stream that the program chooses, or nil.
func (r *sessionRun) stream() *h2.Stream {
	if n := int(r.program.next()); len(r.streams) > 0 {
		return r.streams[n%len(r.streams)]
	}
	return nil
}

func (r *sessionRun) end(st *h2.Stream, how byte) {
	switch how % 8 {
	case 0:
		st.Close()
	case 1:
		st.CloseWrite()
	case 2:
		st.Reset(http2.ErrCode(how))
	case 3:
		st.SendHead([]hpack.HeaderField{{Name: "trailer", Value: "x"}}, true)
	case 4:
		st.Pause()
	default:
		st.Resume()
	}
}

// receive passes bytes of the peer to the Session, cut.
func (r *sessionRun) receive(p []byte) {
	for len(p) > 0 {
		n := len(p)
		if cut := int(r.cuts.next()); cut > 0 {
			n = min(n, cut)
		}
		r.carrier.view = bytes.Clone(p[:n])
		r.carrier.turn()
		p = p[n:]
	}
}

// finish ends the connection and checks that every stream gets its end.
func (r *sessionRun) finish() {
	r.carrier.full = false
	r.carrier.run()
	r.checker.check(r.t, r.carrier.take(), &r.given)
	r.carrier.err = io.EOF
	r.carrier.turn()
	for _, st := range r.streams {
		st.Resume()
	}
	for !r.carrier.ended { // it was ended by a goroutine of the carrier
		r.carrier.turn()
	}
	for i, rec := range r.ends {
		<-rec.ended
		if rec.ends != 1 {
			r.t.Errorf("stream %d of %d has ended %d times", i, len(r.ends), rec.ends)
		}
	}
	if n := r.session.Streams(); n != 0 || r.session.Err() == nil {
		r.t.Errorf("%d streams are left, and the Session ended with %v", n, r.session.Err())
	}
}

// A gotStream is what arrived of a stream.
type gotStream struct {
	fields, trailer string
	payload         string
	ended           bool
	reset           http2.ErrCode
}

func (g gotStream) String() string {
	return fmt.Sprintf("%s %.100q(%d) %v %v %s", g.fields, g.payload, len(g.payload), g.ended, g.reset, g.trailer)
}

// FuzzFrames makes a stream of valid frames, in both roles, and compares what a Session delivers of it,
// cut anywhere, with what http2.Framer reads.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x01\x00\x03abc\x01\x00\x85\x03def\x02\x00\x03\x00\x04\x05\x06\x07\x01\x00\x03xyz\x08\x00"), []byte{})
	f.Add([]byte("\x00\x00\x00\x01\x01\x01\x03abc\x01\x00\x03def\x09\x00\x02\x01\x03\x02"), []byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 9, 9, 9, 9, 9, 10, 3})
	f.Fuzz(func(t *testing.T, instructions, cuts []byte) {
		all := validFrames(instructions)
		got := map[uint32]*gotStream{}
		carrier := &pieceCarrier{}
		session, err := h2.NewServer(carrier, h2.Config{Window: 1 << 30, MaxStreams: 1 << 20, PrefaceRead: true, Request: func(st *h2.Stream, h h2.Head) {
			g := &gotStream{fields: fmt.Sprint(h.Fields)}
			got[st.ID()] = g
			st.Push(&fuzzReceiver{st: st, got: g, ended: make(chan struct{})})
		}})
		if err != nil {
			t.Fatal(err)
		}
		pieces(len(all), cuts, func(from, to int) {
			carrier.view = bytes.Clone(all[from:to])
			carrier.turn()
		})
		carrier.run()
		if err := session.Err(); err != nil {
			t.Fatal(err)
		}
		want := readByFramer(t, all)
		for id, w := range want {
			if g := got[id]; g == nil || *g != *w {
				t.Errorf("stream %d: %v,\nwant %v", id, g, w)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d streams, want %d", len(got), len(want))
		}
		session.Close(0, nil)
		carrier.run()
	})
}

// validFrames returns the frames that a client may send, as a program says.
func validFrames(p program) []byte {
	var all, block bytes.Buffer
	framer, encoder := http2.NewFramer(&all, nil), hpack.NewEncoder(&block)
	list := func(fields []hpack.HeaderField) []byte {
		block.Reset()
		for _, f := range fields {
			encoder.WriteField(f)
		}
		return block.Bytes()
	}
	framer.WriteSettings()
	framer.WriteSettingsAck()
	var open []uint32
	next := uint32(1)
	for n := 0; n < mostActions && !p.ended(); n++ {
		kind, which := p.next()%12, p.next()
		if kind == 0 {
			fields := append(connectFields[:5:5], hpack.HeaderField{Name: "n", Value: fmt.Sprint(which)}, hpack.HeaderField{Name: "x", Value: fmt.Sprint(len(all.Bytes()))})
			writeList(framer, next, list(fields), which&1 == 1, int(which>>1)%4+1)
			if which&1 == 0 {
				open = append(open, next)
			}
			next += 2
			continue
		}
		if kind < 8 && len(open) == 0 {
			continue
		}
		i := 0
		if len(open) > 0 {
			i = int(which) % len(open)
		}
		switch kind {
		case 1, 2, 3:
			for part := range slices.Chunk(p.payload(), 64<<10) {
				framer.WriteData(open[i], false, part)
			}
		case 4:
			framer.WriteDataPadded(open[i], false, p.take(int(p.next())), make([]byte, p.next()))
		case 5:
			framer.WriteDataPadded(open[i], true, p.take(int(p.next())), make([]byte, which))
			open = slices.Delete(open, i, i+1)
		case 6:
			writeList(framer, open[i], list([]hpack.HeaderField{{Name: "trailer", Value: fmt.Sprint(which)}}), true, 1)
			open = slices.Delete(open, i, i+1)
		case 7:
			framer.WriteRSTStream(open[i], http2.ErrCode(which))
			open = slices.Delete(open, i, i+1)
		case 8:
			framer.WritePing(which&1 == 1, [8]byte{which})
		case 9:
			framer.WriteRawFrame(http2.FrameType(100+which%100), http2.Flags(which), uint32(which), p.take(int(p.next())))
		case 10:
			framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(which)})
		case 11:
			framer.WritePriority(next+2, http2.PriorityParam{StreamDep: 0, Weight: which})
		}
	}
	return all.Bytes()
}

// writeList writes a header list in n frames.
func writeList(framer *http2.Framer, id uint32, block []byte, end bool, n int) {
	for i := range n {
		part := block[:len(block)/(n-i)]
		block = block[len(part):]
		if i == 0 {
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: part, EndStream: end, EndHeaders: n == 1})
		} else {
			framer.WriteContinuation(id, i == n-1, part)
		}
	}
}

// readByFramer returns what an http2.Framer reads.
func readByFramer(t *testing.T, all []byte) map[uint32]*gotStream {
	framer := http2.NewFramer(nil, bytes.NewReader(all))
	framer.SetMaxReadFrameSize(1 << 20)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	want := map[uint32]*gotStream{}
	for {
		f, err := framer.ReadFrame()
		if err == io.EOF {
			return want
		}
		if err != nil {
			t.Fatal(err)
		}
		w := want[f.Header().StreamID]
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if w == nil {
				w = &gotStream{fields: fmt.Sprint(f.Fields)}
				want[f.StreamID] = w
			} else {
				w.trailer = fmt.Sprint(f.Fields)
			}
			w.ended = f.StreamEnded()
		case *http2.DataFrame:
			w.payload += string(f.Data())
			w.ended = f.StreamEnded()
		case *http2.RSTStreamFrame:
			w.reset = f.ErrCode + 1 // so that 0 is none
		}
	}
}

// A fuzzReceiver is a Receiver that takes what there is.
type fuzzReceiver struct {
	st    *h2.Stream
	got   *gotStream    // nil: it isn't kept
	ended chan struct{} // closed by Finish
	ends  int
}

func (r *fuzzReceiver) Readable() error {
	for {
		view, err := r.st.View()
		switch e := err.(type) {
		case nil:
			if r.got != nil {
				r.got.payload += string(view)
			}
			r.st.Consume(len(view))
			continue
		case *transport.SendError:
			continue
		case *h2.StreamError:
			if r.got != nil {
				r.got.reset = e.Code + 1
			}
		}
		if err == transport.ErrWouldBlock {
			return nil
		}
		if err == io.EOF && r.got != nil {
			r.got.ended = true
			if trailer := r.st.Trailer(); trailer != nil {
				r.got.trailer = fmt.Sprint(trailer)
			}
		}
		return err
	}
}

func (r *fuzzReceiver) End(err error) {}

func (r *fuzzReceiver) Finish() {
	r.ends++
	r.st.Close()
	if r.ends == 1 {
		close(r.ended)
	}
}
