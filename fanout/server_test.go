package fanout

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// TestMain also checks that every goroutine ends, but for netpoll's pollers, which are the
// process's.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"))
}

// transports are those that every test of delivery runs on: some queue, and one blocks.
var transports = map[string]websock.Transport{
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
	"std":     std.Transport(),
}

func eachTransport(t *testing.T, f func(t *testing.T, transport websock.Transport)) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) { f(t, transport) })
	}
}

// A testServer accepts connections on loopback until it is killed, and can be started again
// at the same address. Each message goes to OnMessage, or is echoed.
type testServer struct {
	t    testing.TB
	addr string

	Compression websock.Compression
	Transport   websock.Transport // nil: epoll.Transport()
	OnRequest   func(r *http.Request) error
	OnConn      func(c *websock.Conn)
	OnMessage   func(c *websock.Conn, op websock.Opcode, msg []byte)

	mu       sync.Mutex
	http     *http.Server
	conns    map[*websock.Conn]struct{}
	arrivals []time.Time
	accepted atomic.Uint64
}

func newTestServer(t testing.TB) *testServer {
	s := &testServer{t: t, addr: ownAddress() + ":0", conns: map[*websock.Conn]struct{}{}}
	s.start()
	t.Cleanup(func() {
		if s.http != nil {
			s.kill()
		}
	})
	return s
}

// ownAddress returns an address of loopback whose ports nobody takes for connecting, so that
// the same one can be listened on again.
func ownAddress() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.%d.%d.1", rand.N(200)+1, rand.N(250))
}

func (s *testServer) url() string { return "ws://" + s.addr + "/" }

func (s *testServer) start() {
	var l net.Listener
	eventually(s.t, "the address is free", func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", s.addr)
		return err == nil
	})
	server := &http.Server{Handler: http.HandlerFunc(s.accept)}
	s.mu.Lock()
	s.addr, s.http = l.Addr().String(), server
	s.mu.Unlock()
	go server.Serve(l)
}

func (s *testServer) accept(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.arrivals = append(s.arrivals, time.Now())
	s.mu.Unlock()
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
	dead := s.http != r.Context().Value(http.ServerContextKey)
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

func (s *testServer) receive(c *websock.Conn, op websock.Opcode, msg []byte) {
	if s.OnMessage != nil {
		s.OnMessage(c, op, msg)
	} else {
		c.SendFrame(op, true, msg)
	}
}

func (s *testServer) forget(c *websock.Conn, _ error) {
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

// takeArrivals returns when requests have come since the last call.
func (s *testServer) takeArrivals() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	arrivals := s.arrivals
	s.arrivals = nil
	return arrivals
}

// kill stops listening and cuts all connections.
func (s *testServer) kill() {
	s.mu.Lock()
	server := s.http
	s.http = nil
	s.mu.Unlock()
	server.Close()
	for _, c := range s.all() {
		c.Abort(nil)
	}
}

// begun is a Group on loopback, fast unless told otherwise, that is shut down with the test.
func begun(t testing.TB, o Options) *Group {
	t.Helper()
	o.Pace.Rate = orDefault(o.Pace.Rate, -1)
	o.Backoff.Base = orDefault(o.Backoff.Base, 10*time.Millisecond)
	o.Backoff.Max = orDefault(o.Backoff.Max, 100*time.Millisecond)
	g, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutdown(t, g) })
	return g
}

func shutdown(t testing.TB, g *Group) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := g.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// allUp waits until all slots are up.
func allUp(t testing.TB, g *Group) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := g.WaitUp(ctx, g.Len()); err != nil {
		t.Fatalf("%v; %+v, %v", err, g.Stats(), g.Slot(0).Err())
	}
}

// eventually waits for something that other goroutines do.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

// over returns a target at the URL over a transport.
func over(transport websock.Transport, url string) []Target {
	return []Target{{URL: url, Config: websock.Config{Transport: transport, Proxy: websock.NoProxy}}}
}

// answering is a server that answers every request with a status.
func answering(t testing.TB, status int, header map[string]string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}
