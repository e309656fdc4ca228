package store_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store/storetest"
	"github.com/seed004e8d11/websock/internal/loopback"
)

// patience is how long tests wait for what should come soon.
const patience = 30 * time.Second

// waitUntil waits for a condition.
func waitUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: ", what)
		}
	}
}

// inTime returns a context that ends when a test has waited long enough.
func inTime(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A natsServer is a NATS server inside the test that can be stopped and started again.
type natsServer struct {
	t       *testing.T
	options server.Options
	running *server.Server
}

func newServer(t *testing.T, o server.Options) *natsServer {
	t.Helper()
	o.Host, o.NoSigs, o.NoLog = loopback.Host(), true, true
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	s := &natsServer{t: t, options: o}
	t.Cleanup(s.stop)
	return s
}

func (s *natsServer) start() {
	s.t.Helper()
	o := s.options
	running, err := server.NewServer(&o)
	if err != nil {
		s.t.Fatal(err)
	}
	running.Start()
	s.running = running
	if !running.ReadyForConnections(patience) {
		s.t.Fatal("the server doesn't start")
	}
	s.options.Port = running.Addr().(*net.TCPAddr).Port // for the next start
}

func (s *natsServer) stop() {
	if s.running != nil {
		s.running.Shutdown()
		s.running.WaitForShutdown()
		s.running = nil
	}
}

func (s *natsServer) address() string { return fmt.Sprintf("%s:%d", s.options.Host, s.options.Port) }

// oneServer starts a server with JetStream.
func oneServer(t *testing.T) *natsServer {
	t.Helper()
	s := newServer(t, server.Options{JetStream: true, StoreDir: t.TempDir()})
	s.start()
	return s
}

// threeServers starts a cluster of three servers with JetStream.
func threeServers(t *testing.T) (servers []*natsServer) {
	t.Helper()
	var routes []*url.URL
	for _, address := range loopback.Addresses(t, 3) {
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: address})
	}
	for i, route := range routes {
		port, err := strconv.Atoi(route.Port())
		if err != nil {
			t.Fatal(err)
		}
		s := newServer(t, server.Options{
			ServerName: fmt.Sprint("server", i),
			JetStream:  true,
			StoreDir:   t.TempDir(),
			Cluster:    server.ClusterOpts{Name: "test", Host: route.Hostname(), Port: port},
			Routes:     routes,
		})
		s.start()
		servers = append(servers, s)
	}
	return servers
}

// leader returns which of the servers leads the stream of a bucket, or -1.
func leader(servers []*natsServer, bucket string) int {
	for i, s := range servers {
		if s.running != nil && s.running.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, "KV_"+bucket) {
			return i
		}
	}
	return -1
}

func connect(t *testing.T, address string, options ...nats.Option) *nats.Conn {
	t.Helper()
	options = append([]nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond)}, options...)
	var nc *nats.Conn
	waitUntil(t, "NATS lets it in", func() bool { // a server ends connections that take a while for that
		var err error
		nc, err = nats.Connect("nats://"+address, options...)
		return err == nil
	})
	t.Cleanup(nc.Close)
	return nc
}

func open(t *testing.T, nc *nats.Conn, c store.Config) *store.Bucket {
	t.Helper()
	c.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	b, err := store.Open(inTime(t), nc, c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func create(t *testing.T, s store.Store, key, value string) uint64 {
	t.Helper()
	revision, err := s.Create(inTime(t), key, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// watching begins a watch, as soon as the store allows it.
func watching(t *testing.T, s store.Store) (updates <-chan store.Update) {
	t.Helper()
	waitUntil(t, "a watch", func() (ok bool) {
		var err error
		updates, err = s.Watch(t.Context())
		return err == nil
	})
	return updates
}

// updateSoon updates a key as soon as the store allows it, and returns the revision: also if that was
// written by an attempt whose answer was lost.
func updateSoon(t *testing.T, s store.Store, key, value string, last uint64) (revision uint64) {
	t.Helper()
	waitUntil(t, "an update", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var err error
		revision, err = s.Update(ctx, key, []byte(value), last)
		if err == nil {
			return true
		}
		var written bool
		revision, written = storetest.Written(watching(t, s), key, value)
		return written
	})
	return revision
}

// A proxy passes connections on to an address. Its cut ends them all; hold keeps back what the server
// sends from then on, until the next cut.
type proxy struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	conns []net.Conn
	held  bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to}
	go p.serve()
	t.Cleanup(func() {
		l.Close()
		p.cut()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		upstream, err := net.Dial("tcp", p.to)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, upstream)
		p.mu.Unlock()
		go func() {
			_, _ = io.Copy(upstream, client)
			upstream.Close()
		}()
		go func() {
			p.answer(client, upstream)
			client.Close()
		}()
	}
}

// answer copies what the server sends, but for what comes while answers are held.
func (p *proxy) answer(client, upstream net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := upstream.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		held := p.held
		p.mu.Unlock()
		if held {
			continue
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns, p.held = nil, false
}
