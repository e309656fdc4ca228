package h2_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// carriers are the transports that carry the sessions of a test.
var carriers = map[string]transport.Factory{
	"std":     std.Transport(),
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
}

// eachCarrier runs f over every transport, without TLS and with it.
func eachCarrier(t *testing.T, f func(t *testing.T, c carrier)) {
	for name, factory := range carriers {
		t.Run(name, func(t *testing.T) { f(t, carrier{factory: factory}) })
		t.Run(name+" over TLS", func(t *testing.T) { f(t, carrier{factory: factory, tls: tls13}) })
	}
}

const tls13 = 0x0304

var noTime time.Time

// A carrier makes pairs of sessions.
type carrier struct {
	factory transport.Factory
	tls     uint16
}

// conns returns the two ends of a connection.
func (c carrier) conns(t testing.TB) (client, server transport.Conn) {
	t.Helper()
	a, b := netpair.Sockets(t, "tcp")
	if c.tls != 0 {
		a, b = netpair.SecuredBy(c.tls)(t, a, b)
	}
	return attach(t, c.factory, a), attach(t, c.factory, b)
}

func attach(t testing.TB, f transport.Factory, conn net.Conn) transport.Conn {
	t.Helper()
	c, err := websock.Attach(f, conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// sessions returns two connected Sessions. A request is answered with status 200, and its stream sent
// to accepted.
func (c carrier) sessions(t testing.TB, clientConfig, serverConfig h2.Config) (client, server *h2.Session, accepted chan *h2.Stream) {
	t.Helper()
	a, b := c.conns(t)
	accepted = make(chan *h2.Stream, 1000)
	if serverConfig.Request == nil {
		serverConfig.Request = func(st *h2.Stream, h h2.Head) {
			st.SendHead(status("200"), false)
			accepted <- st
		}
	}
	server, err := h2.NewServer(b, serverConfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err = h2.NewClient(a, clientConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(0, nil); server.Close(0, nil) })
	return client, server, accepted
}

func status(code string) []hpack.HeaderField {
	return []hpack.HeaderField{{Name: ":status", Value: code}}
}

var connect = []hpack.HeaderField{
	{Name: ":method", Value: "CONNECT"},
	{Name: ":protocol", Value: "websocket"},
	{Name: ":scheme", Value: "http"},
	{Name: ":path", Value: "/"},
	{Name: ":authority", Value: "example.com"},
}

// open opens a stream and returns both ends.
func open(t testing.TB, client *h2.Session, accepted chan *h2.Stream) (a, b *h2.Stream) {
	t.Helper()
	a, err := client.Open(connect, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := a.Head(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case b = <-accepted:
	case <-ctx.Done():
		t.Fatal("the request did not arrive")
	}
	return a, b
}

// readFull reads n bytes of a stream that has no receiver.
func readFull(t testing.TB, st *h2.Stream, n int) []byte {
	t.Helper()
	st.SetReadDeadline(time.Now().Add(patience))
	p := make([]byte, n)
	if got, err := io.ReadFull(st, p); err != nil {
		t.Fatalf("%d of %d bytes, then %v", got, n, err)
	}
	return p
}

// A wire is a carrier without goroutines. A test gives it what the peer sends, and takes what the Session
// sends. It calls the Session on the goroutine of the test.
type wire struct {
	mu       sync.Mutex
	receiver transport.Receiver
	resumed  bool // Resume was called since the last turn
	pushes   int  // calls of Push
	view     []byte
	viewErr  error // comes after the view; nil: transport.ErrWouldBlock
	ended    bool  // Finish was called, for good
	closed   bool

	sent    []byte
	writes  int            // calls that have written something
	room    int            // bytes that are taken at once; what is beyond that is queued or pending
	queued  int            // bytes
	pending *pendingWrite  // of TryWrite
	waits   bool           // Queues returns false
	batches bool           // it is a transport.Batcher
	behind  int            // calls of WriteBehind
	failure error          // of writes
	during  func()         // called during the next write
	seen    func([][]byte) // called with the buffers of each Writev; may be nil
}

const muchRoom = math.MaxInt32

func newWire() *wire { return &wire{room: muchRoom} }

type pendingWrite struct {
	w    *wire
	rest []byte
	done transport.WriteDone
}

func (p *pendingWrite) Finish(done transport.WriteDone) { p.done = done }

func (w *wire) View() ([]byte, error) {
	switch {
	case w.closed:
		return nil, net.ErrClosed
	case len(w.view) > 0:
		return w.view, nil
	case w.viewErr != nil:
		return nil, w.viewErr
	}
	return nil, transport.ErrWouldBlock
}

func (w *wire) Consume(n int)              { w.view = w.view[n:] }
func (w *wire) Read(p []byte) (int, error) { panic("a Session doesn't call Read") }

func (w *wire) Writev(bufs ...[]byte) error {
	if w.seen != nil {
		w.seen(bufs)
	}
	p := slices.Concat(bufs...)
	rest, err := w.write(p)
	w.mu.Lock()
	w.queued += len(rest)
	w.sent = append(w.sent, rest...)
	w.mu.Unlock()
	return err
}

func (w *wire) Batches() bool { return w.batches }

func (w *wire) WriteBehind(bufs ...[]byte) error {
	w.behind++
	return w.Writev(bufs...)
}

func (w *wire) TryWrite(p []byte) (transport.PendingWrite, error) {
	rest, err := w.write(p)
	if len(rest) == 0 || err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = &pendingWrite{w: w, rest: rest}
	return w.pending, nil
}

// write sends as much of p as there is room for, and returns the rest.
func (w *wire) write(p []byte) (rest []byte, err error) {
	w.mu.Lock()
	during := w.during
	w.during = nil
	w.mu.Unlock()
	if during != nil {
		during()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure != nil || w.closed {
		return nil, cmp.Or(w.failure, net.ErrClosed)
	}
	n := min(w.room, len(p))
	w.room -= n
	w.writes++
	w.sent = append(w.sent, p[:n]...)
	return p[n:], nil
}

// drain makes room again, and writes what was queued or pending.
func (w *wire) drain() {
	w.mu.Lock()
	w.room = muchRoom
	w.queued = 0
	pending := w.pending
	w.pending = nil
	if pending != nil {
		w.sent = append(w.sent, pending.rest...)
	}
	w.mu.Unlock()
	if pending != nil {
		pending.done.Wrote(nil)
	} else {
		w.turn()
	}
}

// take returns what was sent since the last call.
func (w *wire) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.sent
	w.sent = nil
	return p
}

// turn calls the Session, which may end the goroutine that does it.
func (w *wire) turn() {
	w.mu.Lock()
	w.resumed = false
	over := w.ended
	w.mu.Unlock()
	if over {
		return
	}
	pushes := w.pushes
	returned, exited := make(chan error, 1), make(chan bool)
	go func() {
		defer close(exited)
		if w.closed {
			w.receiver.End(net.ErrClosed)
			returned <- net.ErrClosed
			return
		}
		returned <- w.receiver.Readable()
	}()
	<-exited
	select {
	case err := <-returned:
		if err == nil {
			return
		}
	default:
	}
	w.receiver.Finish()
	if w.ended = w.pushes == pushes; !w.ended {
		w.turn() // Push has the Receiver called at once
	}
}

// run calls the Session as long as it asks for that.
func (w *wire) run() {
	for w.isDue() {
		w.turn()
	}
}

func (w *wire) isDue() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.resumed && !w.ended
}

func (w *wire) Push(r transport.Receiver) error {
	w.receiver = r
	w.pushes++
	return nil
}

func (w *wire) Pause()      {}
func (w *wire) Yield() bool { w.Resume(); return true }

func (w *wire) Resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resumed = true
}

func (w *wire) Queues() bool { return !w.waits }

func (w *wire) Queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queued
}

func (w *wire) Drain(context.Context, int) error {
	panic("a Session doesn't wait for its carrier, whose goroutine it may be on")
}

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed, w.resumed = true, true
	return nil
}

func (w *wire) Unacknowledged() int                { return 0 }
func (w *wire) CloseWrite() error                  { return nil }
func (w *wire) Linger(time.Duration) error         { return w.Close() }
func (w *wire) TLS() *tls.ConnectionState          { return nil }
func (w *wire) SetReadDeadline(t time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(t time.Time) error { return nil }
func (w *wire) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (w *wire) RemoteAddr() net.Addr               { return &net.TCPAddr{} }

// A peer is the other end of a wire. It sends frames as a test says, also invalid ones, and describes
// those that it gets.
type peer struct {
	t       testing.TB
	wire    *wire
	session *h2.Session
	client  bool // the Session is one
	opened  chan *h2.Stream

	requests uint32 // that open has sent

	block   bytes.Buffer
	encoder *hpack.Encoder
	in      bytes.Buffer // what the Session has sent and was not read
	framer  *http2.Framer
}

// newPeer returns the peer of a client over w, or of a server that answers each request with status
// 200. Both have sent their SETTINGS and acknowledged the other's.
func newPeer(t testing.TB, w *wire, client bool, c h2.Config) *peer {
	t.Helper()
	p := newSilentPeer(t, w, client, c)
	p.send(settings(), settingsAck())
	p.frames()
	return p
}

// newSilentPeer is newPeer with a peer that has sent nothing.
func newSilentPeer(t testing.TB, w *wire, client bool, c h2.Config) *peer {
	t.Helper()
	p := &peer{t: t, wire: w, client: client, opened: make(chan *h2.Stream, 10000)}
	if c.ConnWindow == 0 { // else it depends on the time that the SETTINGS take
		c.ConnWindow = 16 << 20
	}
	p.encoder = hpack.NewEncoder(&p.block)
	p.framer = http2.NewFramer(nil, &p.in)
	p.framer.SetMaxReadFrameSize(1 << 20)
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var err error
	if client {
		p.session, err = h2.NewClient(w, c)
	} else {
		c.PrefaceRead = true
		if c.Request == nil {
			c.Request = func(st *h2.Stream, h h2.Head) {
				st.SendHead(status("200"), false)
				p.opened <- st
			}
		}
		p.session, err = h2.NewServer(w, c)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.session.Close(0, nil); w.run() })
	if sent := w.take(); client {
		if !bytes.HasPrefix(sent, []byte(http2.ClientPreface)) {
			t.Fatalf("the client began with %q", sent)
		}
		p.in.Write(sent[len(http2.ClientPreface):])
	} else {
		p.in.Write(sent)
	}
	w.turn()
	return p
}

// A sentFrame makes the bytes of a frame.
type sentFrame func(p *peer) []byte

// bytes returns the bytes of frames.
func (p *peer) bytes(frames ...sentFrame) (all []byte) {
	for _, f := range frames {
		all = append(all, f(p)...)
	}
	return all
}

// send sends frames, which the Session gets at once.
func (p *peer) send(frames ...sentFrame) { p.sendBytes(p.bytes(frames...)) }

func (p *peer) sendBytes(bytes []byte) {
	p.wire.view = append(p.wire.view, bytes...)
	p.wire.turn()
	p.wire.run()
}

// open opens a stream of the Session.
func (p *peer) open() *h2.Stream {
	p.t.Helper()
	if !p.client {
		p.requests++
		p.send(request(2*p.requests-1, false))
		return p.accepted()
	}
	st, err := p.session.Open(connect, false)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(headers(st.ID(), false, status("200")...))
	if _, err := st.Head(context.Background()); err != nil {
		p.t.Fatal(err)
	}
	return st
}

// accepted returns the next stream that a request has opened.
func (p *peer) accepted() *h2.Stream {
	p.t.Helper()
	select {
	case st := <-p.opened:
		return st
	default:
		p.t.Fatal("no request has arrived")
		return nil
	}
}

// frames describes the frames that the Session has sent since the last call.
func (p *peer) frames() (all []string) {
	p.t.Helper()
	for {
		f := p.next()
		if f == nil {
			return all
		}
		all = append(all, describe(f))
	}
}

// next returns the next frame that the Session has sent, or nil.
func (p *peer) next() http2.Frame {
	p.t.Helper()
	p.in.Write(p.wire.take())
	if p.in.Len() == 0 {
		return nil
	}
	f, err := p.framer.ReadFrame()
	if err != nil {
		p.t.Fatal("an invalid frame was sent: ", err)
	}
	return f
}

// gets fails the test if the Session has not sent just these frames.
func (p *peer) gets(want ...string) {
	p.t.Helper()
	if got := p.frames(); !slices.Equal(got, want) {
		p.t.Errorf("the peer got %q,\nwant %q", got, want)
	}
}

func describe(f http2.Frame) string {
	h := f.Header()
	text := fmt.Sprint(h.Type)
	if h.StreamID != 0 {
		text += fmt.Sprint(" ", h.StreamID)
	}
	switch f := f.(type) {
	case *http2.DataFrame:
		text += " " + abbreviated(f.Data())
		if f.StreamEnded() {
			text += " END_STREAM"
		}
	case *http2.MetaHeadersFrame:
		text += listed(f.Fields)
		if f.StreamEnded() {
			text += " END_STREAM"
		}
	case *http2.SettingsFrame:
		if f.IsAck() {
			text += " ACK"
		}
	case *http2.PingFrame:
		if f.IsAck() {
			text += " ACK"
		}
		text += fmt.Sprintf(" %q", f.Data[:])
	case *http2.RSTStreamFrame:
		text += fmt.Sprint(" ", f.ErrCode)
	case *http2.GoAwayFrame:
		text += fmt.Sprint(" ", f.LastStreamID, " ", f.ErrCode)
	case *http2.WindowUpdateFrame:
		text += fmt.Sprint(" ", f.Increment)
	}
	return text
}

func abbreviated(p []byte) string {
	if len(p) <= 32 {
		return fmt.Sprintf("%q", p)
	}
	return fmt.Sprintf("%d bytes", len(p))
}

// rawFrame is a frame with any content.
func rawFrame(kind http2.FrameType, flags http2.Flags, stream uint32, payload string) sentFrame {
	return func(*peer) []byte {
		var b bytes.Buffer
		f := http2.NewFramer(&b, nil)
		f.AllowIllegalWrites = true
		f.WriteRawFrame(kind, flags, stream, []byte(payload))
		return b.Bytes()
	}
}

func data(stream uint32, payload string, flags ...http2.Flags) sentFrame {
	return rawFrame(http2.FrameData, allOf(flags), stream, payload)
}

const endStream = http2.FlagDataEndStream

func allOf(flags []http2.Flags) (all http2.Flags) {
	for _, f := range flags {
		all |= f
	}
	return all
}

// headers is a header list in one frame.
func headers(stream uint32, end bool, fields ...hpack.HeaderField) sentFrame {
	return headersIn(1, stream, end, fields...)
}

// headersIn is a header list in n frames.
func headersIn(n int, stream uint32, end bool, fields ...hpack.HeaderField) sentFrame {
	return func(p *peer) (all []byte) {
		p.block.Reset()
		for _, f := range fields {
			p.encoder.WriteField(f)
		}
		block := p.block.String()
		for i := range n {
			kind, flags := http2.FrameContinuation, http2.Flags(0)
			if i == 0 {
				kind = http2.FrameHeaders
				if end {
					flags = http2.FlagHeadersEndStream
				}
			}
			part := block[:len(block)/(n-i)]
			block = block[len(part):]
			if i == n-1 {
				flags |= http2.FlagHeadersEndHeaders
			}
			all = append(all, rawFrame(kind, flags, stream, part)(p)...)
		}
		return all
	}
}

func request(stream uint32, end bool) sentFrame { return headers(stream, end, connect...) }

func settings(pairs ...uint32) sentFrame {
	var payload []byte
	for i := 0; i < len(pairs); i += 2 {
		payload = binary.BigEndian.AppendUint16(payload, uint16(pairs[i]))
		payload = binary.BigEndian.AppendUint32(payload, pairs[i+1])
	}
	return rawFrame(http2.FrameSettings, 0, 0, string(payload))
}

func settingsAck() sentFrame { return rawFrame(http2.FrameSettings, http2.FlagSettingsAck, 0, "") }

func ping(payload string) sentFrame { return rawFrame(http2.FramePing, 0, 0, payload) }

func windowUpdate(stream, n uint32) sentFrame {
	return rawFrame(http2.FrameWindowUpdate, 0, stream, numbers(n))
}

func rst(stream uint32, code http2.ErrCode) sentFrame {
	return rawFrame(http2.FrameRSTStream, 0, stream, numbers(uint32(code)))
}

func goAway(last uint32, code http2.ErrCode, text string) sentFrame {
	return rawFrame(http2.FrameGoAway, 0, 0, numbers(last, uint32(code))+text)
}

func numbers(all ...uint32) string {
	var p []byte
	for _, n := range all {
		p = binary.BigEndian.AppendUint32(p, n)
	}
	return string(p)
}

// A recorder is a Receiver that notes what it gets.
type recorder struct {
	st     *h2.Stream
	mu     sync.Mutex
	events []string
	on     func(view []byte) // called with each view; may be nil
	ends   int               // calls of Finish
}

// record pushes a recorder.
func (p *peer) record(st *h2.Stream) *recorder {
	p.t.Helper()
	r := &recorder{st: st}
	if err := st.Push(r); err != nil {
		p.t.Fatal(err)
	}
	p.wire.run()
	return r
}

func (r *recorder) note(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

func (r *recorder) Readable() error {
	for {
		view, err := r.st.View()
		if err == transport.ErrWouldBlock {
			return nil
		}
		if err != nil {
			r.note(err.Error())
			var failed *transport.SendError
			if errors.As(err, &failed) {
				continue
			}
			return err
		}
		if r.on != nil {
			r.on(view)
		}
		r.note(abbreviated(view))
		r.st.Consume(len(view))
	}
}

func (r *recorder) End(err error) { r.note("End: " + err.Error()) }

func (r *recorder) Finish() {
	r.mu.Lock()
	r.ends++
	r.mu.Unlock()
	r.st.CloseWrite()
	r.st.Linger(time.Minute)
}

// got fails the test if the events were not just these.
func (r *recorder) got(t testing.TB, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.events, want) {
		t.Errorf("the Receiver got %q,\nwant %q", r.events, want)
	}
}

// An echo is a Receiver that sends back what it receives.
type echo struct {
	st   *h2.Stream
	done chan error
	once sync.Once
}

func newEcho(st *h2.Stream) *echo { return &echo{st: st, done: make(chan error, 1)} }

func (e *echo) Readable() error {
	for {
		view, err := e.st.View()
		if err == transport.ErrWouldBlock {
			return nil
		}
		if err != nil {
			e.over(err)
			return err
		}
		e.st.Writev(view)
		e.st.Consume(len(view))
	}
}

func (e *echo) End(err error) { e.over(err) }
func (e *echo) Finish()       { e.st.CloseWrite(); e.st.Linger(time.Second) }

func (e *echo) over(err error) { e.once.Do(func() { e.done <- err }) }
