package websock

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// deaf is a server that accepts connections, and then neither reads nor sends.
func deaf(t testing.TB) string {
	over := make(chan struct{})
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		<-over
		c.Abort(nil)
	}))
	t.Cleanup(func() { close(over) })
	return url
}

func checkIdle(t *testing.T, err error) {
	t.Helper()
	var closed *CloseError
	if !errors.As(err, &closed) || closed.Code != CloseAbnormal || !closed.Local ||
		!errors.Is(err, ErrIdle) || errors.Is(err, ErrTimeout) {
		t.Errorf("%#v", err)
	}
}

func TestAPeerThatAnswersPingsKeepsItsConnection(t *testing.T) {
	c, err := Dial(t.Context(), server(t, echo(t, nil)), &Config{KeepAlive: KeepAlive{Ping: 20 * time.Millisecond, Timeout: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for c.Stats().PongsReceived < 3 {
		if _, _, err := c.RecvTimeout(nil, 10*time.Millisecond); err != ErrTimeout {
			t.Fatal(err)
		}
	}
	roundTrip(t, c)
}

func TestAConnectionToASilentPeerIsAborted(t *testing.T) {
	for name, k := range map[string]KeepAlive{
		"with pings":    {Ping: 25 * time.Millisecond},
		"without pings": {Timeout: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Dial(t.Context(), deaf(t), &Config{KeepAlive: k})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _, err = c.RecvMessage(nil)
			checkIdle(t, err)
			checkIdle(t, c.SendText(nil))
			checkIdle(t, c.Err())
			if k.Ping == 0 && c.Stats().WireSent > 0 {
				t.Error("a ping was sent")
			}
		})
	}
}

func TestOnCloseGetsErrIdle(t *testing.T) {
	closed := make(chan error, 1)
	c, err := Dial(t.Context(), deaf(t), &Config{
		KeepAlive: KeepAlive{Timeout: 50 * time.Millisecond},
		Handler: Messages(func(*Conn, Opcode, []byte) {}, func(_ *Conn, err error) {
			closed <- err
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	checkIdle(t, <-closed)
}

// The visits that decide about a connection may see nothing of a pause: the peer's answer may have come
// in it.
func TestSilenceCountsAnewAfterAPause(t *testing.T) {
	for name, transport := range carriers {
		for _, role := range []Role{Client, Server} {
			t.Run(fmt.Sprint(name, ", ", role), func(t *testing.T) {
				conn, _ := netpair.Sockets(t, "tcp")
				attached, err := Attach(transport, conn, nil)
				if err != nil {
					t.Fatal(err)
				}
				c := NewConn(attached, role, Options{})
				defer c.Abort(nil)
				if err := c.SetHandler(Messages(nil, nil)); err != nil {
					t.Fatal(err)
				}
				p := &keepalive.Policy{Ping: time.Minute, Timeout: 2 * time.Minute, Opcode: OpPing}
				var m keepalive.Monitor
				m.Start(heartbeatConn{c}, p, 0, p.Ping)
				m.Visit(heartbeatConn{c}, p, time.Minute) // sends a ping
				c.Pause()
				if m.Visit(heartbeatConn{c}, p, time.Hour) == 0 {
					t.Error("the peer counts as dead during a pause")
				}
				c.Resume()
				c.Pause()
				c.Resume()
				if m.Visit(heartbeatConn{c}, p, 2*time.Hour) == 0 {
					t.Error("the peer counts as dead right after a pause")
				}
				if m.Visit(heartbeatConn{c}, p, 2*time.Hour+p.Timeout) != 0 {
					t.Error("the peer does not count as dead a Timeout later")
				}
				if n := c.Stats().Pauses; n != 2 {
					t.Errorf("%d pauses", n)
				}
			})
		}
	}
}

func TestAServerAbortsTheConnectionOfASilentClient(t *testing.T) {
	got := make(chan error, 1)
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, &AcceptOptions{KeepAlive: KeepAlive{Timeout: 50 * time.Millisecond}})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _, err = c.RecvMessage(nil)
		got <- err
	}))
	c, err := Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	checkIdle(t, <-got)
}

// carriers are the transports that the tests of keepalive run on.
var carriers = map[string]Transport{"std": std.Transport(), "epoll": epoll.Transport(), "netpoll": netpoll.Transport()}

// unreadServer completes handshakes, and then never reads. It returns its URL, and the Config to trust it.
func unreadServer(t *testing.T, secure bool) (string, Config) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Proxy: NoProxy}
	url := "ws://" + l.Addr().String()
	var serving sync.WaitGroup
	over := make(chan struct{})
	t.Cleanup(func() {
		close(over)
		l.Close()
		serving.Wait()
	})
	var serverTLS *tls.Config
	if secure {
		web := httptest.NewUnstartedServer(nil)
		web.StartTLS()
		serverTLS = web.TLS
		roots := x509.NewCertPool()
		roots.AddCert(web.Certificate())
		config.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com"}
		web.Close()
		url = "wss://" + l.Addr().String()
	}
	serve := func(conn net.Conn) {
		defer conn.Close()
		if secure {
			conn = tls.Server(conn, serverTLS)
		}
		if _, _, err := handshake.ServerConn(context.Background(), conn, nil); err != nil {
			return
		}
		<-over
	}
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serve(conn) })
		}
	})
	return url, config
}

func eachCarrier(t *testing.T, f func(t *testing.T, transport Transport, secure bool)) {
	for name, transport := range carriers {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", name, secure), func(t *testing.T) {
				t.Parallel()
				f(t, transport, secure)
			})
		}
	}
}

// The peer reads for longer than Timeout, and has not come to the ping that waits behind the message.
func TestALongUploadIsNotAborted(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("the system can't tell how much of what it buffers the peer's system has acknowledged")
	}
	for _, pushed := range []bool{false, true} {
		t.Run(fmt.Sprint("with a Handler: ", pushed), func(t *testing.T) {
			eachCarrier(t, func(t *testing.T, transport Transport, secure bool) {
				near, far := netpair.Sockets(t, "tcp")
				far.(*net.TCPConn).SetReadBuffer(32 << 10)
				if secure {
					near, far = netpair.SecuredBy(tls.VersionTLS13)(t, near, far)
				}
				attached, err := Attach(transport, near, nil)
				if err != nil {
					t.Fatal(err)
				}
				c := NewConn(attached, Client, Options{})
				if pushed {
					if err := c.SetHandler(Messages(nil, nil)); err != nil {
						t.Fatal(err)
					}
				}
				p := &keepalive.Policy{Ping: time.Minute, Timeout: 2 * time.Minute, Opcode: OpPing}
				var m keepalive.Monitor
				m.Start(heartbeatConn{c}, p, 0, p.Ping)
				sent := make(chan error, 1)
				go func() { sent <- c.SendBinary(make([]byte, 8<<20)) }()
				piece := make([]byte, 1<<20) // much more than is written at once
				for pieces := range 6 {
					waitUntil(func() bool { _, waiting := c.Outgoing(); return waiting > 64<<10 })
					before, _ := c.Outgoing()
					if m.Visit(heartbeatConn{c}, p, time.Duration(pieces)*p.Timeout*3/4) == 0 {
						t.Fatalf("the peer counts as dead after %d MiB", pieces)
					}
					if _, err := io.ReadFull(far, piece); err != nil {
						t.Fatal(err)
					}
					waitUntil(func() bool { taken, _ := c.Outgoing(); return taken > before+int64(len(piece)/2) })
				}
				c.Abort(nil)
				<-sent
			})
		})
	}
}

func TestAConnectionWhosePeerTakesNothingIsAborted(t *testing.T) {
	for name, send := range map[string]func(c *Conn, closed chan error){
		"nothing":         func(c *Conn, closed chan error) { <-closed },
		"a large message": func(c *Conn, closed chan error) { c.SendBinary(make([]byte, 32<<20)); <-closed },
		"small ones now and then": func(c *Conn, closed chan error) {
			for {
				select {
				case <-closed:
					return
				case <-time.After(20 * time.Millisecond):
					c.TrySend(OpBinary, make([]byte, 100))
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachCarrier(t, func(t *testing.T, transport Transport, secure bool) {
				url, cfg := unreadServer(t, secure)
				cfg.Transport = transport
				cfg.KeepAlive = KeepAlive{Ping: 200 * time.Millisecond, Timeout: 500 * time.Millisecond}
				closed := make(chan error)
				var how error
				cfg.Handler = Messages(nil, func(_ *Conn, err error) { how = err; close(closed) })
				c, err := Dial(t.Context(), url, &cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				began := time.Now()
				send(c, closed)
				checkIdle(t, how)
				if took := time.Since(began); took > time.Minute {
					t.Errorf("aborted after %v", took)
				}
			})
		})
	}
}

func TestAPeerThatDoesNotReadCostsNoGoroutines(t *testing.T) {
	url, cfg := unreadServer(t, false)
	for _, transport := range carriers {
		cfg := cfg
		cfg.Transport = transport
		cfg.KeepAlive = KeepAlive{Ping: 4 * time.Millisecond, Timeout: -1}
		c, err := Dial(t.Context(), url, &cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Abort(nil)
		for end := time.Now().Add(10 * time.Second); c.TrySend(OpBinary, make([]byte, 64<<10)) == nil && time.Now().Before(end); {
		}
	}
	before := runtime.NumGoroutine() // with those of event loops
	time.Sleep(time.Second)          // time for 250 pings
	if n := runtime.NumGoroutine(); n > before+20 {
		t.Errorf("%d goroutines, and %d before", n, before)
	}
}

// Also without a Timeout at most one ping is under way. The first comes after the message: Queued does not
// count what is being written at the moment.
func TestPingsDoNotPileUpForAPeerThatTakesNothing(t *testing.T) {
	policy, err := (&KeepAlive{Ping: 20 * time.Millisecond, Timeout: -1}).policy()
	if err != nil {
		t.Fatal(err)
	}
	eachCarrier(t, func(t *testing.T, transport Transport, secure bool) {
		url, cfg := unreadServer(t, secure)
		cfg.Transport = transport
		cfg.Limits.SendQueue = 1 << 30 // so that none is refused
		c, err := Dial(t.Context(), url, &cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Abort(nil)
		if err := c.TrySend(OpBinary, make([]byte, 32<<20)); err != nil {
			t.Fatal(err)
		}
		for queued := c.Queued() + 1; c.Queued() < queued; time.Sleep(100 * time.Millisecond) { // until the system takes no more
			queued = c.Queued()
		}
		before := c.Queued()
		keepAlive(c, policy)
		time.Sleep(time.Second) // time for 40 pings
		if after := c.Queued(); after > before+100 {
			t.Errorf("%d bytes are queued, and %d before", after, before)
		}
	})
}

func TestAMessageIsSentInPlaceOfAPing(t *testing.T) {
	for name, test := range map[string]struct {
		k      KeepAlive
		opcode Opcode
	}{
		"text":             {KeepAlive{Message: []byte(`{"op":"ping"}`)}, OpText},
		"binary":           {KeepAlive{Message: []byte{0xff}, Opcode: OpBinary}, OpBinary},
		"empty":            {KeepAlive{Message: []byte{}}, OpText},
		"unsolicited pong": {KeepAlive{Message: []byte("alive"), Opcode: OpPong}, OpPong},
	} {
		t.Run(name, func(t *testing.T) {
			type received struct {
				op  Opcode
				msg string
			}
			got := make(chan received, 100)
			url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := Accept(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				c.SetHandler(pongs{Messages(func(_ *Conn, op Opcode, msg []byte) {
					got <- received{op, string(msg)}
				}, nil), func(p []byte) { got <- received{OpPong, string(p)} }})
			}))
			test.k.Ping, test.k.Timeout = 20*time.Millisecond, -1
			c, err := Dial(t.Context(), url, &Config{KeepAlive: test.k})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Abort(nil)
			for range 2 {
				if r := <-got; r != (received{test.opcode, string(test.k.Message)}) {
					t.Errorf("%+v", r)
				}
			}
			if n := c.Stats().PongsReceived; n != 0 {
				t.Error("a ping was sent too")
			}
		})
	}
	for name, k := range map[string]KeepAlive{
		"text that is not UTF-8": {Message: []byte{0xff}},
		"a long ping":            {Message: make([]byte, 126), Opcode: OpPing},
		"a close frame":          {Message: []byte("x"), Opcode: OpClose},
	} {
		if _, err := Dial(t.Context(), "ws://127.0.0.1:1/", &Config{KeepAlive: k}); !errors.As(err, new(*HandshakeError)) || errors.As(err, new(*net.OpError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pongs is a Handler with an OnPong.
type pongs struct {
	Handler
	pong func(p []byte)
}

func (p pongs) OnPong(_ *Conn, payload []byte) { p.pong(payload) }

// pingable is a Handler with an OnPing.
type pingable struct {
	Handler
	ping func(p []byte)
}

func (p pingable) OnPing(_ *Conn, payload []byte) { p.ping(payload) }

func TestOnPingIsCalledForEveryPing(t *testing.T) {
	for name, transport := range carriers {
		for _, pushed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", with a Handler: ", pushed), func(t *testing.T) {
				pongsCame := make(chan string, 10)
				url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					c, err := Accept(w, r, &AcceptOptions{Handler: pongs{
						Messages(nil, nil), func(p []byte) { pongsCame <- string(p) },
					}})
					if err != nil {
						t.Error(err)
						return
					}
					c.SendPing([]byte("one"))
					c.SendPing(nil)
				}))
				told, heard := make(chan string, 10), make(chan string, 10)
				cfg := &Config{Transport: transport, KeepAlive: KeepAlive{OnPing: func(c *Conn, p []byte) { told <- string(p) }}}
				if pushed {
					cfg.Handler = pingable{Messages(nil, nil), func(p []byte) { heard <- string(p) }}
				}
				c, err := Dial(t.Context(), url, cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Abort(nil)
				if !pushed {
					go c.RecvMessage(nil)
				}
				for _, want := range []string{"one", ""} {
					if got := <-told; got != want {
						t.Errorf("%q, want %q", got, want)
					}
					if pushed {
						if got := <-heard; got != want {
							t.Errorf("the Handler heard %q, want %q", got, want)
						}
					}
				}
				if got := <-pongsCame; got != "one" && got != "" {
					t.Errorf("%q", got)
				}
			})
		}
	}
}

func TestEndedConnectionsAreNoLongerVisited(t *testing.T) {
	url := server(t, echo(t, nil))
	for range 10 {
		c, err := Dial(t.Context(), url, &Config{KeepAlive: KeepAlive{Ping: 200 * time.Millisecond, Timeout: -1}}) // not aborted, however late it is looked at
		if err != nil {
			t.Fatal(err)
		}
		waitUntil(func() bool { return idleConns.Len() > 0 }) // 0 also while it is visited
		c.Close()
	}
	for deadline := time.Now().Add(time.Minute); idleConns.Len() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(idleConns.Len(), "are left")
		}
	}
}

func TestWithoutKeepAliveAConnectionTakesNoMemoryForIt(t *testing.T) {
	var off KeepAlive
	policy, err := off.policy()
	if err != nil {
		t.Fatal(err)
	}
	c := NewConn(&scriptTransport{}, Client, Options{})
	if n := testing.AllocsPerRun(100, func() { keepAlive(c, policy) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestKeepAliveTellsOfPongs(t *testing.T) {
	for name, transport := range carriers {
		t.Run(name, func(t *testing.T) {
			atServer, atClient := make(chan string, 10), make(chan string, 10)
			url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := Accept(w, r, &AcceptOptions{KeepAlive: KeepAlive{OnPong: func(_ *Conn, p []byte) { atServer <- string(p) }}})
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				c.SendPing([]byte("of the server"))
				c.RecvMessage(nil)
			}))
			c, err := Dial(t.Context(), url, &Config{Transport: transport, KeepAlive: KeepAlive{OnPong: func(_ *Conn, p []byte) { atClient <- string(p) }}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SendPing([]byte("of the client"))
			go c.RecvMessage(nil)
			if got := <-atServer; got != "of the server" {
				t.Errorf("the server was told of %q", got)
			}
			if got := <-atClient; got != "of the client" {
				t.Errorf("the client was told of %q", got)
			}
		})
	}
}
