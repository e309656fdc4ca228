package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/feed"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
	"github.com/seed004e8d11/websock/internal/loopback"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// patience is how long a test waits for what must happen, also on a machine that does a lot else.
const patience = 2 * time.Minute

// waitUntil waits until ok returns true.
func waitUntil(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			giveUp(t, "waited too long until %s", what)
		}
	}
}

// giveUp fails a test, and logs what there is.
func giveUp(t testing.TB, format string, args ...any) {
	t.Helper()
	for _, state := range witnesses {
		t.Log(state())
	}
	t.Fatalf(format, args...)
}

// witnesses say what there is in the test that runs: there is one at a time.
var witnesses []func() string

// witness adds one until the test ends.
func witness(t testing.TB, state func() string) {
	witnesses = append(witnesses, state)
	t.Cleanup(func() { witnesses = witnesses[:len(witnesses)-1] })
}

// inTime returns a context that ends when a test has waited long enough.
func inTime(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A natsServer can be stopped, and started again at the same address with what it has stored.
type natsServer struct {
	t       testing.TB
	options server.Options
	server  *server.Server
}

func newNATS(t testing.TB) *natsServer {
	return &natsServer{t: t, options: server.Options{
		Host:      loopback.Host(),
		Port:      server.RANDOM_PORT,
		JetStream: true,
		StoreDir:  t.TempDir(),
		NoSigs:    true,
		NoLog:     true,
	}}
}

func startNATS(t testing.TB) *natsServer {
	s := newNATS(t)
	s.start()
	t.Cleanup(s.stop)
	return s
}

// startNATSCluster starts servers that know each other.
func startNATSCluster(t testing.TB, n int) (servers []*natsServer) {
	var routes []*url.URL
	for i, address := range loopback.Addresses(t, n) {
		s := newNATS(t)
		s.options.ServerName = fmt.Sprint("server-", i)
		route := &url.URL{Scheme: "nats", Host: address}
		routes = append(routes, route)
		port, err := strconv.Atoi(route.Port())
		if err != nil {
			t.Fatal(err)
		}
		s.options.Cluster = server.ClusterOpts{Name: "test", Host: route.Hostname(), Port: port}
		servers = append(servers, s)
	}
	for _, s := range servers {
		s.options.Routes = routes
		s.start()
		t.Cleanup(s.stop)
	}
	waitUntil(t, "the servers have a leader", func() bool {
		return slices.ContainsFunc(servers, func(s *natsServer) bool { return s.server.JetStreamIsLeader() }) &&
			!slices.ContainsFunc(servers, func(s *natsServer) bool { return !s.server.JetStreamIsCurrent() })
	})
	return servers
}

func (s *natsServer) start() {
	s.t.Helper()
	var err error
	options := s.options // which the server changes
	if s.server, err = server.NewServer(&options); err != nil {
		s.t.Fatal(err)
	}
	s.server.Start()
	if !s.server.ReadyForConnections(patience) {
		s.t.Fatal("the NATS server doesn't start")
	}
	s.options.Port = s.server.Addr().(*net.TCPAddr).Port
}

func (s *natsServer) stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// addr returns host and port.
func (s *natsServer) addr() string { return fmt.Sprintf("%s:%d", s.options.Host, s.options.Port) }

// connectNATS connects to one of servers or proxies, and again whenever that is lost.
func connectNATS(t testing.TB, addrs ...string) *nats.Conn {
	t.Helper()
	var c *nats.Conn
	waitUntil(t, "NATS lets it in", func() bool { // a server ends connections that take a while for that
		var err error
		c, err = nats.Connect(strings.Join(addrs, ","), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
			nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1))
		return err == nil
	})
	t.Cleanup(c.Close)
	return c
}

// A proxy carries connections to a server. It can hold up what they carry, and cut them.
type proxy struct {
	listener net.Listener
	to       string
	deaf     atomic.Bool // nothing is carried from the clients to the server
	mute     atomic.Bool // nothing is carried from the server to the clients

	mu    sync.Mutex
	conns []net.Conn
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func startProxy(t testing.TB, to string) *proxy {
	l := listen(t)
	p := &proxy{listener: l, to: to}
	go p.accept()
	t.Cleanup(func() {
		l.Close()
		p.cut()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		go p.carry(server, client, &p.deaf)
		go p.carry(client, server, &p.mute)
	}
}

func (p *proxy) carry(to, from net.Conn, held *atomic.Bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		for held.Load() {
			time.Sleep(time.Millisecond)
		}
		if _, e := to.Write(buf[:n]); e != nil || err != nil {
			return
		}
	}
}

// carried returns how many connections there have been since the last cut.
func (p *proxy) carried() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns) / 2
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// A peer is a WebSocket server. It keeps what it receives, by the path of the connection.
type peer struct {
	http *httptest.Server

	mu       sync.Mutex
	conns    map[string]*websock.Conn
	received map[string][]string
}

func startPeer(t testing.TB) *peer {
	p := &peer{conns: map[string]*websock.Conn{}, received: map[string][]string{}}
	p.http = httptest.NewServer(http.HandlerFunc(p.accept))
	t.Cleanup(func() {
		p.mu.Lock()
		for _, c := range p.conns {
			c.Abort(nil)
		}
		p.mu.Unlock()
		p.http.Close()
	})
	return p
}

func (p *peer) accept(w http.ResponseWriter, r *http.Request) {
	c, err := websock.Accept(w, r, &websock.AcceptOptions{Transport: epoll.Transport()})
	if err != nil {
		return
	}
	p.mu.Lock()
	p.conns[r.URL.Path[1:]] = c
	p.mu.Unlock()
	_ = c.SetHandler(websock.Messages(func(_ *websock.Conn, op websock.Opcode, msg []byte) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.received[r.URL.Path[1:]] = append(p.received[r.URL.Path[1:]], op.String()+" "+string(msg))
	}, nil))
}

// conn returns the connection of a key, nil if there was none yet.
func (p *peer) conn(key string) *websock.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns[key]
}

// send sends to the connection of a key.
func (p *peer) send(key string, msg []byte) error {
	c := p.conn(key)
	if c == nil {
		return io.ErrClosedPipe
	}
	return c.SendText(msg)
}

func (p *peer) receivedBy(key string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received[key]
}

// startSlots returns a Group with a slot for each key, all connected to the peer.
func startSlots(t testing.TB, p *peer, keys []string, o fanout.Options) *fanout.Group {
	t.Helper()
	for _, key := range keys {
		target := fanout.URLs(p.http.URL + "/" + key)[0]
		target.Config.Transport = epoll.Transport()
		o.Targets = append(o.Targets, target)
	}
	o.Key = func(number int) string { return keys[number] }
	o.Pace = fanout.Pace{Rate: -1, PerHost: 32}
	o.Ping = -1
	g, err := fanout.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = g.Shutdown(ctx)
	})
	witness(t, func() string { return fmt.Sprintf("slots: %+v", g.Stats()) })
	waitUntil(t, "all slots are up, and the peer knows it", func() bool {
		return g.Stats().Up == len(keys) && !slices.ContainsFunc(keys, func(key string) bool { return p.conn(key) == nil })
	})
	return g
}

// tokens are those with which keys are held; a key that isn't there has that of "".
type tokens struct {
	mu sync.Mutex
	of map[string]uint64
}

func (h *tokens) set(key string, token uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[string]uint64{}
	}
	h.of[key] = token
}

// holds is as publisherOptions and receiverOptions want it. A token of 0 says that the key isn't held.
func (h *tokens) holds(key string) (token uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	token, ok = h.of[key]
	if !ok {
		token = h.of[""]
	}
	return token, token != 0
}

// drops records what a Publish drops.
type drops struct {
	mu     sync.Mutex
	counts map[string]int
}

func (d *drops) note(key string, messages int, why DropReason) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts == nil {
		d.counts = map[string]int{}
	}
	d.counts[key+" "+why.String()] += messages
}

func (d *drops) of(key string, why DropReason) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[key+" "+why.String()]
}

func discardLog(slog.Level, string, ...slog.Attr) {}

// newFeed returns a server that is closed, and asked for violations, when the test ends.
func newFeed(t *testing.T) *feed.Server {
	t.Helper()
	s, err := feed.New("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		for i, v := range s.Violations() {
			if t.Error(v); i == 20 {
				break
			}
		}
	})
	witness(t, func() string {
		keys, by := s.Connected()
		return fmt.Sprintf("%d keys are connected, of members %v", keys, by)
	})
	return s
}

// shortLease is the lease of tests that wait until it is over.
const shortLease = 8 * time.Second

// testPartitions are so many that each of three members gets some: which ones depends on their IDs, and
// those are random. With 16 one of them would get none in one of 200 runs.
const testPartitions = 64

// testOptions are those of a member that connects keys to a feed. NATS has to be added.
func testOptions(s *feed.Server, keys ...string) Options {
	return Options{
		Keys:        Static(keys...),
		Partitions:  testPartitions,
		Lease:       20 * time.Second, // so that none ends because the machine does a lot else
		Rate:        2000,
		FenceHeader: feed.TokenHeader,
		Fanout: fanout.Options{
			Choose: func(slot *fanout.Slot) fanout.Target {
				return fanout.Target{URL: s.URL(slot.Key()), Config: websock.Config{Transport: epoll.Transport()}}
			},
			Backoff: fanout.Backoff{Base: 10 * time.Millisecond, Max: 100 * time.Millisecond},
		},
	}
}

// named lets a member tell the feed its name.
func named(o Options, name string) Options {
	o.Member = name
	o.Fanout.Prepare = func(_ context.Context, _ *fanout.Slot, t *fanout.Target) error {
		t.Config.Header = http.Header{feed.MemberHeader: {name}}
		return nil
	}
	return o
}

// startMember starts a member that leaves when the test ends.
func startMember(t *testing.T, o Options) *Cluster {
	t.Helper()
	c, err := Start(inTime(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutdown(t, c) })
	witness(t, func() string { return fmt.Sprintf("%s: %+v", c.ID(), c.Stats()) })
	return c
}

func shutdown(t *testing.T, c *Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Shutdown(ctx); err != nil {
		t.Error("Shutdown:", err)
	}
}

// wait waits until the members are settled, each in its own view.
func wait(t *testing.T, members ...*Cluster) {
	t.Helper()
	ctx := inTime(t)
	for _, c := range members {
		if err := c.Wait(ctx); err != nil {
			giveUp(t, "%s: Wait: %v", c.ID(), err)
		}
	}
}

// A refusingStore refuses every Update with err, unless that is nil.
type refusingStore struct {
	store.Store
	err error
}

func (s *refusingStore) Update(context.Context, string, []byte, uint64) (uint64, error) {
	return 7, s.err
}
