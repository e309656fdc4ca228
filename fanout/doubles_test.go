package fanout

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/loopback"
	"github.com/seed004e8d11/websock/mask"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
)

// A testServer accepts connections on loopback until it is killed, and can be started again at the
// same address. It passes each message to OnMessage, or echoes it.
type testServer struct {
	t    testing.TB
	addr string

	Compression websock.Compression
	Transport   websock.Transport // nil: epoll.Transport()
	OnRequest   func(r *http.Request) error
	OnConn      func(c *websock.Conn)
	OnMessage   func(c *websock.Conn, op websock.Opcode, msg []byte)
	OnEnd       func(c *websock.Conn, err error)
	MaxStreams  int // of a connection with HTTP/2; 0: the default

	mu       sync.Mutex
	listener net.Listener
	http     *http.Server
	streams  *websock.HTTP2Server
	conns    map[*websock.Conn]struct{}
	arrivals []time.Time
	accepted atomic.Uint64
}

func newTestServer(t testing.TB) *testServer {
	s := &testServer{t: t, addr: loopback.Host() + ":0", conns: map[*websock.Conn]struct{}{}}
	s.start()
	t.Cleanup(func() {
		if s.http != nil {
			s.kill()
		}
	})
	return s
}

func (s *testServer) url() string { return "ws://" + s.addr + "/" }

func (s *testServer) start() {
	var l net.Listener
	waitUntil(s.t, "the address is free", func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", s.addr)
		return err == nil
	})
	server := &http.Server{Handler: http.HandlerFunc(s.accept), Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: s.MaxStreams}
	streams := &websock.HTTP2Server{Transport: epoll.Transport()}
	if err := streams.Configure(server); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.addr, s.listener, s.http, s.streams = l.Addr().String(), l, server, streams
	s.mu.Unlock()
	go server.Serve(l)
}

func (s *testServer) accept(w http.ResponseWriter, r *http.Request) {
	if !s.arrives(r) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	opts := &websock.AcceptOptions{CheckRequest: s.OnRequest, Compression: s.Compression, Transport: s.Transport}
	if opts.Transport == nil {
		opts.Transport = epoll.Transport()
	}
	c, err := websock.Accept(w, r, opts)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.conns[c] = struct{}{}
	dead := s.deadLocked(r)
	s.mu.Unlock()
	s.accepted.Add(1)
	if dead {
		c.Abort(nil)
	}
	if s.OnConn != nil {
		s.OnConn(c)
	}
	c.SetHandler(websock.Messages(s.receive, s.forget))
}

// arrives records the time of a request. It returns false if the server is being killed: that ends HTTP/2
// connections one after another, and those that are left would carry slots whose first connection has ended.
func (s *testServer) arrives(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deadLocked(r) {
		return false
	}
	s.arrivals = append(s.arrivals, time.Now())
	return true
}

// deadLocked reports whether the server was killed to which a request has come.
func (s *testServer) deadLocked(r *http.Request) bool {
	return s.http != r.Context().Value(http.ServerContextKey)
}

func (s *testServer) receive(c *websock.Conn, op websock.Opcode, msg []byte) {
	if s.OnMessage != nil {
		s.OnMessage(c, op, msg)
	} else {
		c.SendFrame(op, true, msg)
	}
}

func (s *testServer) forget(c *websock.Conn, err error) {
	if s.OnEnd != nil {
		s.OnEnd(c, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *testServer) all() (conns []*websock.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// readNothing has the server read nothing of new connections until read is called, or the test ends.
func (s *testServer) readNothing() (read func()) {
	reads := make(chan struct{})
	s.OnConn = func(*websock.Conn) { <-reads }
	read = sync.OnceFunc(func() { close(reads) })
	s.t.Cleanup(read)
	return read
}

// takeArrivals returns the times of the requests since the last call.
func (s *testServer) takeArrivals() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	arrivals := s.arrivals
	s.arrivals = nil
	return arrivals
}

// cutStreams ends the connections with HTTP/2 that there are.
func (s *testServer) cutStreams() {
	s.mu.Lock()
	streams := s.streams
	s.mu.Unlock()
	streams.Close()
}

// kill stops listening and aborts all connections.
func (s *testServer) kill() {
	s.mu.Lock()
	listener, server, streams := s.listener, s.http, s.streams
	s.http = nil
	s.mu.Unlock()
	listener.Close() // which server.Close leaves to Serve, if that has not begun
	server.Close()
	streams.Close()
	for _, c := range s.all() {
		c.Abort(nil)
	}
}

// statusServer is a server that answers every request with a status.
func statusServer(t testing.TB, status int, header map[string]string) (url string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// serveConns listens on loopback and calls serve for every connection, which is then closed.
func serveConns(t *testing.T, serve func(conn net.Conn)) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	return "ws://" + l.Addr().String() + "/"
}

// bannerServer is a server that sends a text without waiting for a request.
func bannerServer(t *testing.T, text string) (url string) {
	return serveConns(t, func(conn net.Conn) { io.WriteString(conn, text) })
}

// faultyServer is a server on which each connection suffers another fault.
func faultyServer(t *testing.T) (url string) {
	faults := []func(net.Conn){
		func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) },
		func(net.Conn) {},
		func(c net.Conn) { c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")) },
		func(c net.Conn) { c.Write([]byte("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")) },
		func(c net.Conn) { acceptHandshake(c) },
		func(c net.Conn) { acceptHandshake(c); c.(*net.TCPConn).SetLinger(0) },
		func(c net.Conn) { acceptHandshake(c); c.Write([]byte{0x81, 1, 'x'}); c.(*net.TCPConn).SetLinger(0) },
		func(c net.Conn) { acceptHandshake(c); c.Write([]byte{0x88, 2, 0x03, 0xe9}) },
		func(c net.Conn) { acceptHandshake(c); c.Write([]byte{0xff, 0xff}); time.Sleep(time.Millisecond) },
		func(c net.Conn) { acceptHandshake(c); time.Sleep(100 * time.Millisecond) }, // until the ping times out
		func(c net.Conn) {
			acceptHandshake(c)
			c.Write([]byte{0x81, 5, 'h', 'e'})
			time.Sleep(10 * time.Millisecond)
		},
	}
	var n atomic.Int64
	return serveConns(t, func(conn net.Conn) {
		faults[(n.Add(1)-1)%int64(len(faults))](conn)
	})
}

// acceptHandshake performs the server's side of the opening handshake.
func acceptHandshake(conn net.Conn) error {
	_, _, err := handshake.ServerConn(context.Background(), conn, nil)
	return err
}

// slowServer is a server that reads at a rate, in bytes a second. It answers pings with pongs, and
// messages with messages, and closes the connection at a close frame.
func slowServer(t *testing.T, rate int) (url string) {
	return serveConns(t, func(conn net.Conn) {
		acceptHandshake(conn)
		eachFrame(&slowConn{Conn: conn, rate: rate}, func(h websock.Header, payload []byte) {
			switch h.Opcode {
			case websock.OpPing:
				writePong(conn, payload)
			case websock.OpClose:
				conn.Close()
			default:
				conn.Write([]byte{0x81, 2, 'o', 'k'})
			}
		})
	})
}

// A slowConn is read at a rate, in bytes a second. Reads that come late are made up for, so that it isn't
// slower on a busy machine.
type slowConn struct {
	net.Conn
	rate int
	due  time.Time // of the next read
}

func (c *slowConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), max(c.rate/50, 1))]) // so that no pause is long
	if c.due.IsZero() {
		c.due = time.Now()
	}
	c.due = c.due.Add(time.Duration(n) * time.Second / time.Duration(c.rate))
	time.Sleep(time.Until(c.due))
	return n, err
}

// writePong sends an unmasked pong with a short payload.
func writePong(conn net.Conn, payload []byte) {
	conn.Write(append([]byte{0x8A, byte(len(payload))}, payload...))
}

// pullOnly is a Transport whose connections can't push.
type pullOnly struct{}

func (pullOnly) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return struct{ transport.Conn }{std.New(conn, early)}, nil
}

// A muxed is a Transport that carries the connections of a Mux, for targetsFor.
type muxed struct {
	websock.Transport
	mux *websock.Mux
}

// newMux returns a Mux without TLS, which is closed when the test ends.
func newMux(t testing.TB) *websock.Mux {
	m := &websock.Mux{Cleartext: true}
	t.Cleanup(m.Close)
	return m
}

// A countingConn is the client's end of an HTTP/2 connection. It counts the writes that have payload of
// streams.
type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(p []byte) (int, error) {
	if hasPayload(bytes.TrimPrefix(p, []byte(http2.ClientPreface))) {
		c.writes.Add(1)
	}
	return c.Conn.Write(p)
}

// hasPayload reports whether there is a DATA frame that isn't empty among frames.
func hasPayload(frames []byte) bool {
	for f := http2.NewFramer(nil, bytes.NewReader(frames)); ; {
		frame, err := f.ReadFrame()
		if err != nil {
			return false
		}
		if data, ok := frame.(*http2.DataFrame); ok && len(data.Data()) > 0 {
			return true
		}
	}
}

// A pingCounter is a Trace of a Mux that counts the PING frames sent.
type pingCounter struct{ sent atomic.Int64 }

func (c *pingCounter) trace(_ net.Addr, f h2.Frame) {
	if f.Sent && f.Header.Type == http2.FramePing && !f.Header.Flags.Has(http2.FlagPingAck) {
		c.sent.Add(1)
	}
}

// streamServer is a server of HTTP/2 without TLS that calls request for each stream.
func streamServer(t *testing.T, request func(st *h2.Stream, h h2.Head)) (url string) {
	return serveConns(t, func(conn net.Conn) {
		carrier, err := std.Transport().Attach(conn, nil)
		if err != nil {
			t.Error(err)
			return
		}
		session, err := h2.NewServer(carrier, h2.Config{Request: request})
		if err == nil {
			<-session.Done()
		}
	})
}

// silentStreamServer is a server of HTTP/2 that agrees to every request and then sends nothing.
func silentStreamServer(t *testing.T) (url string) {
	return serveConns(t, func(conn net.Conn) { acceptStreams(conn, nil) })
}

// acceptStreams agrees to every request of HTTP/2 on conn. Until quiet is closed it also gives signs of life,
// unless quiet is nil.
func acceptStreams(conn net.Conn, quiet <-chan struct{}) {
	io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
	f := http2.NewFramer(conn, conn)
	f.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	if quiet != nil {
		go giveSigns(http2.NewFramer(conn, nil), quiet)
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		if h, ok := frame.(*http2.HeadersFrame); ok {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: h.StreamID, BlockFragment: []byte{0x88}, EndHeaders: true}) // :status 200
		}
	}
}

// giveSigns sends frames that change next to nothing until quiet is closed.
func giveSigns(f *http2.Framer, quiet <-chan struct{}) {
	for {
		select {
		case <-quiet:
			return
		case <-time.After(20 * time.Millisecond):
			f.WriteWindowUpdate(0, 1)
		}
	}
}

// dialSmallBuffer connects with a small send buffer, so that it is soon full if the peer doesn't
// read.
func dialSmallBuffer(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		conn.(*net.TCPConn).SetWriteBuffer(8 << 10)
	}
	return conn, err
}

// selfSigned returns a certificate that no peer trusts.
func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(cryptorand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A fakeDialer is a NetDial for tests in a bubble of testing/synctest, where only pipes can be used.
// It records the times of dials, since it was made.
type fakeDialer struct {
	began  time.Time
	answer func(ctx context.Context, addr string, n int) (net.Conn, error) // n: number of earlier dials

	mu    sync.Mutex
	dials []time.Duration
}

func newFakeDialer(answer func(ctx context.Context, addr string, n int) (net.Conn, error)) *fakeDialer {
	return &fakeDialer{began: time.Now(), answer: answer}
}

func (d *fakeDialer) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	d.mu.Lock()
	n := len(d.dials)
	d.dials = append(d.dials, time.Since(d.began))
	d.mu.Unlock()
	return d.answer(ctx, addr, n)
}

func (d *fakeDialer) times() []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.dials)
}

// targets returns a target for each host, all dialed by d.
func (d *fakeDialer) targets(hosts ...string) (targets []Target) {
	for _, host := range hosts {
		targets = append(targets, Target{Config: websock.Config{Host: host, NetDial: d.dial, Proxy: websock.NoProxy}})
	}
	return targets
}

// servePipe returns the client's end of a pipe. Its other end performs the opening handshake, is
// passed to f, and then closed.
func servePipe(f func(conn net.Conn)) net.Conn {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		if acceptHandshake(server) == nil {
			f(server)
		}
	}()
	return client
}

// replyPipe returns the client's end of a pipe on which the request gets this answer.
func replyPipe(answer string) net.Conn {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		server.Read(make([]byte, 4096))
		io.WriteString(server, answer)
	}()
	return client
}

// streamPipe returns the client's end of a pipe. Its other end is a server of HTTP/2 that accepts a WebSocket
// with each request, which the Handler gets.
func streamPipe(handler websock.Handler) net.Conn {
	client, server := net.Pipe()
	h2.NewServer(std.New(server, nil), h2.Config{Request: func(st *h2.Stream, _ h2.Head) {
		st.SendHead([]hpack.HeaderField{{Name: ":status", Value: "200"}}, false)
		websock.NewConn(st, websock.Server, websock.Options{}).SetHandler(handler)
	}})
	return client
}

// ignoreAll reads everything and answers nothing.
func ignoreAll(conn net.Conn) { io.Copy(io.Discard, conn) }

// closeAfter sends a close frame after a while.
func closeAfter(code websock.CloseCode, after time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		go ignoreAll(conn)
		time.Sleep(after)
		conn.Write(append([]byte{0x88, 2}, engine.AppendClose(nil, code, "")...))
	}
}

// sendThenClose sends a message and, after a while, a close frame.
func sendThenClose(code websock.CloseCode, after time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		conn.Write([]byte{0x81, 2, 'h', 'i'})
		closeAfter(code, after)(conn)
	}
}

// cutAfter ends the stream after a while.
func cutAfter(after time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		go ignoreAll(conn)
		time.Sleep(after)
	}
}

// eachFrame reads frames of a client until the stream ends.
func eachFrame(conn net.Conn, f func(h websock.Header, payload []byte)) {
	var buf []byte
	for {
		h, n, _ := engine.ParseHeader(buf)
		if n > 0 && int64(len(buf)-n) >= h.Length {
			payload := buf[n : n+int(h.Length)]
			mask.XOR(payload, h.Key, 0)
			f(h, payload)
			buf = buf[n+int(h.Length):]
			continue
		}
		more := make([]byte, 4096)
		n, err := conn.Read(more)
		if err != nil {
			return
		}
		buf = append(buf, more[:n]...)
	}
}

// dialSilent dials a host that doesn't answer.
func dialSilent(ctx context.Context) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}

// A countingDialer counts the dials that are under way, in total and by host. Each takes half a
// second.
type countingDialer struct {
	mu         sync.Mutex
	connecting map[string]int
	most       map[string]int
	all, peak  int
}

func (b *countingDialer) dial(_ context.Context, addr string, _ int) (net.Conn, error) {
	b.change(addr, 1)
	time.Sleep(500 * time.Millisecond)
	b.change(addr, -1)
	return servePipe(ignoreAll), nil
}

func (b *countingDialer) change(addr string, by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connecting[addr] += by
	b.most[addr] = max(b.most[addr], b.connecting[addr])
	b.all += by
	b.peak = max(b.peak, b.all)
}

// A callOrder checks the order of the calls for one slot.
type callOrder struct {
	t      *testing.T
	inside atomic.Int32
	mu     sync.Mutex
	last   string
}

// enter begins a call. No other call may be under way, and the last one must have been one of after.
func (o *callOrder) enter(call string, after ...string) (leave func()) {
	if o.inside.Add(1) != 1 {
		o.t.Errorf("%s comes while another call is under way", call)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	ok := false
	for _, last := range after {
		ok = ok || last == o.last
	}
	if !ok {
		o.t.Errorf("%s comes after %q", call, o.last)
	}
	o.last = call
	return func() { o.inside.Add(-1) }
}

// A hangingFunc is a function of Options that doesn't return before the end of the test.
type hangingFunc struct {
	entered chan struct{}
	release chan struct{}
}

func newHangingFunc(t *testing.T) *hangingFunc {
	h := &hangingFunc{make(chan struct{}, 100), make(chan struct{})}
	t.Cleanup(func() { close(h.release) })
	return h
}

func (h *hangingFunc) hang() {
	h.entered <- struct{}{}
	<-h.release
}

// logLines is a slog.Handler that keeps the records from a level on, as text.
type logLines struct {
	slog.Handler
	least slog.Level
	mu    *sync.Mutex
	lines *[]string
}

func newLogLines(least slog.Level) *logLines {
	return &logLines{slog.DiscardHandler, least, new(sync.Mutex), new([]string)}
}

func (l *logLines) Enabled(_ context.Context, level slog.Level) bool { return level >= l.least }

func (l *logLines) Handle(_ context.Context, r slog.Record) error {
	var text strings.Builder
	text.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		text.WriteString(" " + a.String())
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.lines = append(*l.lines, text.String())
	return nil
}

func (l *logLines) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range *l.lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// A logHook is a slog.Handler that calls a function with every message.
type logHook struct {
	slog.Handler
	call func(message string)
}

func (*logHook) Enabled(context.Context, slog.Level) bool { return true }

func (h *logHook) Handle(_ context.Context, r slog.Record) error {
	h.call(r.Message)
	return nil
}

func (h *logHook) WithAttrs([]slog.Attr) slog.Handler { return h }

// A lockedWriter makes a Writer safe for concurrent use.
type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// inboxes keep the messages that the slots of a Group receive, by the slots' keys.
type inboxes struct {
	mu  sync.Mutex
	got map[string][]string
}

func (i *inboxes) onMessage(s *Slot, _ websock.Opcode, msg []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.got == nil {
		i.got = map[string][]string{}
	}
	i.got[s.Key()] = append(i.got[s.Key()], string(msg))
}

// of returns what a slot has received.
func (i *inboxes) of(key string) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.got[key])
}

// A hostWithAddresses is a name with several addresses, on each of which there is a server.
type hostWithAddresses struct {
	url     string
	addrs   []netip.Addr
	servers []*testServer
	lookups atomic.Int64
}

// newHostWithAddresses starts n servers with the same port.
func newHostWithAddresses(t testing.TB, n int) *hostWithAddresses {
	if runtime.GOOS != "linux" && n > 1 {
		t.Skip("this system has one loopback address")
	}
	first := newTestServer(t)
	at := netip.MustParseAddrPort(first.addr)
	h := &hostWithAddresses{servers: []*testServer{first}, addrs: []netip.Addr{at.Addr()}}
	h.url = fmt.Sprintf("ws://feed.test:%d/", at.Port())
	for range n - 1 {
		next := h.addrs[len(h.addrs)-1].Next()
		s := &testServer{t: t, addr: netip.AddrPortFrom(next, at.Port()).String(), conns: map[*websock.Conn]struct{}{}}
		s.start()
		t.Cleanup(func() {
			if s.http != nil {
				s.kill()
			}
		})
		h.servers, h.addrs = append(h.servers, s), append(h.addrs, next)
	}
	return h
}

// lookUp is a Rotation.Lookup.
func (h *hostWithAddresses) lookUp(context.Context, string) ([]netip.Addr, error) {
	h.lookups.Add(1)
	return h.addrs, nil
}

// accepted returns how many connections each of the servers has accepted.
func (h *hostWithAddresses) accepted() (counts []int) {
	for _, s := range h.servers {
		counts = append(counts, int(s.accepted.Load()))
	}
	return counts
}

// A keyServer is a NetDial whose hosts are the keys of slots. It asserts that no key has two connections,
// each until the server has answered the close frame or the client has closed the stream. It is for a
// bubble of testing/synctest.
type keyServer struct {
	t *testing.T

	mu     sync.Mutex
	answer func(ctx context.Context, ended func()) (net.Conn, error)
	open   map[string]int
}

func newKeyServer(t *testing.T) *keyServer {
	return &keyServer{t: t, open: map[string]int{}, answer: accepting}
}

// accepting makes connections that work.
func accepting(_ context.Context, ended func()) (net.Conn, error) {
	return servePipe(func(conn net.Conn) { answerClose(conn, ended) }), nil
}

// ignoring makes connections on which nothing is answered.
func ignoring(context.Context, func()) (net.Conn, error) { return servePipe(ignoreAll), nil }

// target returns what the slot with a key is to connect to.
func (k *keyServer) target(key string) Target {
	return Target{Config: websock.Config{Host: key, NetDial: k.dial, Proxy: websock.NoProxy}}
}

// use changes how dials are answered.
func (k *keyServer) use(answer func(ctx context.Context, ended func()) (net.Conn, error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answer = answer
}

func (k *keyServer) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	key, _, _ := net.SplitHostPort(addr)
	ended := sync.OnceFunc(func() { k.change(key, -1) })
	k.mu.Lock()
	answer := k.answer
	k.mu.Unlock()
	conn, err := answer(ctx, ended)
	if err != nil {
		return nil, err
	}
	k.change(key, 1)
	return &countedConn{conn, ended}, nil
}

func (k *keyServer) change(key string, by int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open[key] += by; k.open[key] > 1 {
		k.t.Errorf("%s has %d connections", key, k.open[key])
	}
}

// count returns the number of connections.
func (k *keyServer) count() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, open := range k.open {
		n += open
	}
	return n
}

// A countedConn tells when it is closed.
type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// answerClose reads frames until a close frame comes, which it answers after a call of ended.
func answerClose(conn net.Conn, ended func()) {
	eachFrame(conn, func(h websock.Header, payload []byte) {
		if h.Opcode == websock.OpClose {
			ended()
			conn.Write(append([]byte{0x88, byte(len(payload))}, payload...))
			conn.Close()
		}
	})
}

// gates let functions of Options wait.
type gates struct {
	mu     sync.Mutex
	closed map[string]chan struct{}
}

// close has calls of pass wait at a gate.
func (g *gates) close(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == nil {
		g.closed = map[string]chan struct{}{}
	}
	g.closed[name] = make(chan struct{})
}

// open lets all calls pass.
func (g *gates) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, gate := range g.closed {
		close(gate)
	}
	clear(g.closed)
}

// pass waits while the gate is closed, and until ctx ends.
func (g *gates) pass(ctx context.Context, name string) error {
	g.mu.Lock()
	gate := g.closed[name]
	g.mu.Unlock()
	if gate == nil {
		return ctx.Err()
	}
	select {
	case <-gate:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// A switchboard has hosts for tests in a bubble, each of which answers as it is told. It counts the
// dials of each.
type switchboard struct {
	mu      sync.Mutex
	answers map[string]func(ctx context.Context) (net.Conn, error)
	dials   map[string]int
}

// newSwitchboard returns one whose hosts accept connections.
func newSwitchboard() *switchboard {
	return &switchboard{answers: map[string]func(context.Context) (net.Conn, error){}, dials: map[string]int{}}
}

func (b *switchboard) set(host string, answer func(ctx context.Context) (net.Conn, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers[host] = answer
}

func (b *switchboard) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	host, _, _ := strings.Cut(addr, ":")
	b.mu.Lock()
	b.dials[host]++
	answer := b.answers[host]
	b.mu.Unlock()
	if answer == nil {
		answer = answerAlways
	}
	return answer(ctx)
}

// takeDials returns the number of dials of each host since the last call.
func (b *switchboard) takeDials() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	dials := b.dials
	b.dials = map[string]int{}
	return dials
}

// targets returns a target for each host.
func (b *switchboard) targets(hosts ...string) (targets []Target) {
	for _, host := range hosts {
		targets = append(targets, Target{Config: websock.Config{Host: host, NetDial: b.dial, Proxy: websock.NoProxy}})
	}
	return targets
}

func answerAlways(context.Context) (net.Conn, error)    { return servePipe(ignoreAll), nil }
func answerNever(ctx context.Context) (net.Conn, error) { return dialSilent(ctx) }
func refuse(context.Context) (net.Conn, error)          { return nil, errRefused }

// answerStatus answers each request with a status and a header.
func answerStatus(status int, header string) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) {
		return replyPipe(fmt.Sprintf("HTTP/1.1 %d X\r\n%sContent-Length: 0\r\n\r\n", status, header)), nil
	}
}

// answerThenClose accepts connections and closes them after a while.
func answerThenClose(code websock.CloseCode, after time.Duration) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) { return servePipe(closeAfter(code, after)), nil }
}
