package websock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// A sharingLab has WebSockets that share HTTP/2 connections, a number of streams each.
type sharingLab struct {
	conns, streams int
	network        string // of netpair; "pipe" in a bubble of testing/synctest
	transport      Transport
	limits         Limits // of the server
	window         int    // of the clients' streams; 0: the default
	pulled         int    // so many streams of each connection have no Handler at the client

	t       testing.TB
	mux     Mux
	carried []*writtenConn // the servers' ends, and then the clients'
	clients [][]*Conn      // by connection and stream
	servers [][]*Conn

	mu       sync.Mutex
	accepted map[string]*Conn
	received map[*Conn][]string
	ended    map[*Conn]error
}

// A writtenConn counts the calls of Write that have not failed. onWrite, unless nil, may fail them.
type writtenConn struct {
	net.Conn
	mu      sync.Mutex
	writes  int
	onWrite func() error
}

func (c *writtenConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	onWrite := c.onWrite
	c.mu.Unlock()
	if onWrite != nil {
		if err := onWrite(); err != nil {
			return 0, err
		}
	}
	c.mu.Lock()
	c.writes++
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// takeWrites returns the count since the last call.
func (c *writtenConn) takeWrites() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.writes
	c.writes = 0
	return n
}

// bubble returns a lab in a bubble of testing/synctest. When a test calls something there after
// synctest.Wait, all else waits, so it is known what each write has.
func (l *sharingLab) bubble(t *testing.T, f func()) {
	synctest.Test(t, func(t *testing.T) {
		l.network, l.transport = "pipe", std.Transport()
		stop := l.open(t)
		synctest.Wait()
		for _, c := range l.carried {
			c.takeWrites()
		}
		f()
		stop()
		time.Sleep(time.Hour) // timeouts pass
	})
}

// open opens the WebSockets.
func (l *sharingLab) open(t testing.TB) (stop func()) {
	l.t = t
	l.accepted, l.received, l.ended = map[string]*Conn{}, map[*Conn][]string{}, map[*Conn]error{}
	var clientEnds []*writtenConn
	server := &http.Server{Handler: http.HandlerFunc(l.accept), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: l.streams}}
	h2Server := &HTTP2Server{Transport: l.transport}
	l.mux.Cleartext, l.mux.StreamsPerConn, l.mux.Window, l.mux.IdleTimeout = true, l.streams, l.window, -1
	cfg := Config{Mux: &l.mux, Transport: l.transport, Timeout: 20 * time.Second, Limits: l.limits}
	cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
		client, served := netpair.Sockets(t, l.network)
		if l.network != "pipe" { // the transport has to know the socket
			go h2Server.ServeConn(served, server)
			return client, nil
		}
		a, b := &writtenConn{Conn: client}, &writtenConn{Conn: served}
		clientEnds, l.carried = append(clientEnds, a), append(l.carried, b)
		go h2Server.ServeConn(b, server)
		return a, nil
	}
	for i := range l.conns {
		l.clients, l.servers = append(l.clients, nil), append(l.servers, nil)
		for j := range l.streams {
			own := cfg
			if j >= l.pulled {
				own.Handler = Messages(l.receive, l.end)
			}
			c, err := Dial(t.Context(), fmt.Sprintf("ws://server/%d/%d", i, j), &own)
			if err != nil {
				t.Fatal(err)
			}
			l.clients[i] = append(l.clients[i], c)
			l.servers[i] = append(l.servers[i], l.awaitAccepted(fmt.Sprintf("/%d/%d", i, j)))
		}
	}
	l.carried = append(l.carried, clientEnds...)
	return func() {
		l.mux.Close()
		h2Server.Close()
	}
}

func (l *sharingLab) accept(w http.ResponseWriter, r *http.Request) {
	c, err := Accept(w, r, &AcceptOptions{Handler: Messages(l.receive, l.end), Limits: l.limits})
	if err != nil {
		l.t.Error(err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[r.URL.Path] = c
}

func (l *sharingLab) awaitAccepted(path string) (c *Conn) {
	waitUntil(func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		c = l.accepted[path]
		return c != nil
	})
	return c
}

func (l *sharingLab) receive(c *Conn, _ Opcode, msg []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received[c] = append(l.received[c], string(msg))
}

func (l *sharingLab) end(c *Conn, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended[c] = err
}

// take returns what c has received since the last call.
func (l *sharingLab) take(c *Conn) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.received[c]
	delete(l.received, c)
	return got
}

func (l *sharingLab) hasEnded(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ended := l.ended[c]
	return ended
}

// interleaved returns the WebSockets so that no two of a connection follow each other.
func interleaved(all [][]*Conn) (conns []*Conn) {
	for j := range all[0] {
		for i := range all {
			conns = append(conns, all[i][j])
		}
	}
	return conns
}

func TestABroadcastWritesOnceForEachSession(t *testing.T) {
	l := &sharingLab{conns: 3, streams: 50}
	l.bubble(t, func() {
		for _, end := range []struct {
			from, to [][]*Conn
			carried  []*writtenConn
		}{{l.servers, l.clients, l.carried[:3]}, {l.clients, l.servers, l.carried[3:]}} {
			for round := range 3 {
				text := fmt.Sprint("tick ", round)
				prepared(t, OpText, text).Broadcast(interleaved(end.from), func(_ *Conn, err error) { t.Error(err) })
				synctest.Wait()
				for _, c := range end.carried {
					if n := c.takeWrites(); n != 1 {
						t.Errorf("%d writes", n)
					}
				}
				for _, c := range slices.Concat(end.to...) {
					if got := l.take(c); !slices.Equal(got, []string{text}) {
						t.Errorf("%q", got)
					}
				}
			}
		}
	})
}

func TestABroadcastGoesToWebSocketsOfAllKinds(t *testing.T) {
	l := &sharingLab{conns: 2, streams: 2}
	l.bubble(t, func() {
		a, b := net.Pipe()
		alone, peer := NewConn(std.New(a, nil), Server, Options{}), NewConn(std.New(b, nil), Client, Options{})
		defer peer.Abort(nil)
		defer alone.Abort(nil)
		if alone.Session() != nil || l.servers[0][0].Session() == nil ||
			l.servers[0][0].Session() != l.servers[0][1].Session() || l.servers[0][0].Session() == l.servers[1][0].Session() {
			t.Error("another Session")
		}
		conns := append(interleaved(l.servers), alone, l.servers[1][1]) // one of them twice
		prepared(t, OpText, "news").Broadcast(conns, nil)
		if op, msg, err := peer.RecvMessage(nil); op != OpText || string(msg) != "news" || err != nil {
			t.Error(op, string(msg), err)
		}
		synctest.Wait()
		if got := l.take(l.clients[1][1]); len(got) != 2 {
			t.Errorf("%q", got)
		}
	})
	new(PreparedMessage).Broadcast([]*Conn{}, nil)
}

// Broadcast calls unsent when all others have the message, so it may wait for their answers, and send.
func TestUnsentIsCalledWhenABroadcastHasLeft(t *testing.T) {
	l := &sharingLab{conns: 2, streams: 3}
	l.bubble(t, func() {
		lost := l.servers[0][1]
		lost.Abort(nil)
		calls := 0
		pm := prepared(t, OpText, "news")
		pm.Broadcast(interleaved(l.servers), func(c *Conn, err error) {
			if calls++; c != lost || !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
			for range 2 {
				synctest.Wait()
				for _, c := range interleaved(l.clients) {
					if got := l.take(c); c != l.clients[0][1] && len(got) != 1 {
						t.Errorf("%q", got)
					}
				}
				pm.Broadcast(l.servers[0], nil)
				pm.Broadcast(l.servers[1], nil)
			}
		})
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
		pm.Broadcast([]*Conn{lost}, nil)
	})
}

// What the windows don't allow waits, up to Limits.SendQueue, and arrives in order when the peer reads.
func TestABroadcastHeedsWindowsAndQueues(t *testing.T) {
	const messages, size, window, queue = 50, 1 << 10, 4 << 10, 8 << 10
	l := &sharingLab{conns: 2, streams: 4, pulled: 2, window: window, limits: Limits{SendQueue: queue}}
	l.bubble(t, func() {
		refused := map[*Conn]int{}
		numbered := func(n int) string { return strconv.Itoa(n) + strings.Repeat("x", size) }
		for n := range messages {
			prepared(t, OpText, numbered(n)).Broadcast(interleaved(l.servers), func(c *Conn, err error) {
				if refused[c]++; !errors.Is(err, ErrSendQueueFull) {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		for i := range l.conns {
			for j, c := range l.clients[i] {
				accepted := messages - refused[l.servers[i][j]]
				if j >= l.pulled && accepted != messages || j < l.pulled && (accepted < window/size || accepted > (window+queue)/size+1) {
					t.Errorf("%d of %d messages were accepted, pulled: %v", accepted, messages, j < l.pulled)
				}
				for n := range accepted {
					var got string
					if j < l.pulled {
						_, msg, err := c.RecvMessage(nil)
						if err != nil {
							t.Fatal(err)
						}
						got = string(msg)
					} else {
						got = l.received[c][n]
					}
					if got != numbered(n) {
						t.Fatalf("%.10q, want number %d", got, n)
					}
				}
			}
		}
	})
}

// A connection that fails in the middle of a broadcast takes only its own WebSockets with it.
func TestABroadcastOutlivesASession(t *testing.T) {
	l := &sharingLab{conns: 3, streams: 60, limits: Limits{SendQueue: 1 << 20}}
	l.bubble(t, func() {
		failed := errors.New("the network is gone")
		l.carried[1].onWrite = func() error { return failed } // at the first 64 KiB of 120
		pm := prepared(t, OpBinary, strings.Repeat("x", 2<<10))
		unsent := map[*Conn]error{}
		pm.Broadcast(interleaved(l.servers), func(c *Conn, err error) { unsent[c] = err })
		synctest.Wait()
		for i := range l.conns {
			for j, c := range l.servers[i] {
				switch got := l.take(l.clients[i][j]); {
				case i != 1 && (len(got) != 1 || unsent[c] != nil || l.hasEnded(c)):
					t.Errorf("%d messages arrived; %v", len(got), unsent[c])
				case i == 1 && (len(got) != 0 || !errors.Is(c.Err(), failed) || unsent[c] != nil && !errors.Is(unsent[c], failed)):
					t.Errorf("%d messages arrived; %v, %v", len(got), c.Err(), unsent[c])
				}
			}
		}
		clear(unsent)
		pm.Broadcast(interleaved(l.servers), func(c *Conn, err error) { unsent[c] = err })
		for _, c := range l.servers[1] {
			if !errors.Is(unsent[c], failed) {
				t.Error(unsent[c])
			}
		}
		if len(unsent) != l.streams {
			t.Errorf("%d were unsent", len(unsent))
		}
	})
}

// Broadcasts and other sends of many goroutines arrive, each in order, while WebSockets come to their ends.
func TestBroadcastsBesideOtherSendersAndCloses(t *testing.T) {
	for name, f := range map[string]Transport{"epoll": epoll.Transport(), "std": std.Transport()} {
		t.Run(name, func(t *testing.T) {
			const rounds = 100
			l := &sharingLab{conns: 3, streams: 8, network: "tcp", transport: f, limits: Limits{SendQueue: 16 << 20}}
			defer l.open(t)()
			leaving := map[*Conn]bool{}
			for i := range l.conns {
				leaving[l.servers[i][i]], leaving[l.clients[i][i]] = true, true
			}
			check := func(c *Conn, err error) {
				var ended *CloseError
				if err != nil && !(leaving[c] && errors.As(err, &ended)) {
					t.Error(err)
				}
			}
			var senders sync.WaitGroup
			for _, from := range []string{"a", "b"} {
				senders.Go(func() {
					for n := range rounds {
						prepared(t, OpText, fmt.Sprint(from, " ", n)).Broadcast(interleaved(l.servers), check)
					}
				})
			}
			senders.Go(func() {
				for n := range rounds {
					for _, c := range interleaved(l.servers) {
						check(c, c.SendText(fmt.Append(nil, "alone ", n)))
					}
				}
			})
			senders.Go(func() {
				for n := range rounds {
					prepared(t, OpText, fmt.Sprint("client ", n)).Broadcast(interleaved(l.clients), check)
				}
			})
			senders.Go(func() {
				l.servers[0][0].CloseWith(CloseNormal, "")
				l.servers[1][1].Abort(nil)
				l.servers[2][2].Close()
			})
			senders.Wait()
			for i := range l.conns {
				for j, c := range l.servers[i] {
					if !leaving[c] {
						l.awaitInOrder(l.clients[i][j], rounds, "a", "b", "alone")
						l.awaitInOrder(c, rounds, "client")
					}
				}
			}
		})
	}
}

// awaitInOrder waits until c has received messages number 0 to n-1 of each sender, and nothing else.
func (l *sharingLab) awaitInOrder(c *Conn, n int, senders ...string) {
	l.t.Helper()
	waitUntil(func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.received[c]) >= n*len(senders)
	})
	next := map[string]int{}
	for _, msg := range l.take(c) {
		from, number, _ := strings.Cut(msg, " ")
		if number != strconv.Itoa(next[from]) {
			l.t.Fatalf("%q, want number %d", msg, next[from])
		}
		next[from]++
	}
	for _, from := range senders {
		if next[from] != n {
			l.t.Errorf("%d messages of %s", next[from], from)
		}
	}
}

func TestABroadcastAllocatesNothingForEachWebSocket(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	c := NewConn(&endlessTransport{}, Server, Options{})
	pm := prepared(t, OpText, "tick")
	conns := slices.Repeat([]*Conn{c}, 1000)
	if n := testing.AllocsPerRun(100, func() { pm.Broadcast(conns, nil) }); n > 10 {
		t.Errorf("%v allocations", n)
	}
}
