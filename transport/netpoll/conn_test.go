//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/race"
	"go.uber.org/goleak"
)

// TestMain looks for goroutines left behind. netpoll's pollers stay for the life of the
// process.
func TestMain(m *testing.M) {
	if peer := os.Getenv("NETPOLL_TEST_PEER"); peer != "" {
		holdConnections(peer, os.Getenv("NETPOLL_TEST_SIZE"))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"))
}

// sockets returns the two ends of a connection over the network given.
func sockets(t testing.TB, network string) (client, server net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// attach returns a transport over conn.
func attach(t testing.TB, conn net.Conn, early []byte) *Conn {
	t.Helper()
	carried, err := Transport().Attach(conn, early)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { carried.Close() })
	return carried.(*Conn)
}

// pair returns two connected Conns.
func pair(t testing.TB, network string, limits engine.Limits) (client, server *engine.Conn) {
	a, b := sockets(t, network)
	client = engine.NewConn(attach(t, a, nil), engine.Options{Role: engine.Client, Limits: limits})
	server = engine.NewConn(attach(t, b, nil), engine.Options{Role: engine.Server, Limits: limits})
	return client, server
}

func eachNetwork(t *testing.T, f func(t *testing.T, network string)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) { f(t, network) })
	}
}

// echo sends back every message until the connection ends.
func echo(c *engine.Conn) error {
	var msg []byte
	for {
		op, m, err := c.RecvMessage(msg[:0])
		if err != nil {
			return errors.Join(err, c.Close())
		}
		msg = m
		if err := c.SendFrame(op, true, m); err != nil {
			return errors.Join(err, c.Close())
		}
	}
}

func TestEchoOfEverySize(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		client, server := pair(t, network, engine.Limits{})
		echoed := make(chan error, 1)
		go func() { echoed <- echo(server) }()
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
			want := bytes.Repeat([]byte("e"), size)
			sent := make(chan error, 1)
			go func() { sent <- client.SendBinary(want) }()
			op, got, err := client.RecvMessage(nil)
			if op != engine.OpBinary || !bytes.Equal(got, want) || err != nil {
				t.Fatalf("%d bytes: %v, %d bytes, %v", size, op, len(got), err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
		if err := client.CloseWith(4003, "done"); err != nil {
			t.Error(err)
		}
		var closed *engine.CloseError
		if err := <-echoed; !errors.As(err, &closed) || closed.Code != 4003 || closed.Reason != "done" {
			t.Errorf("server: %v", err)
		}
	})
}

func TestNoTimeoutLosesAByteOfAStreamThatDrips(t *testing.T) {
	messages := []string{"", "a", strings.Repeat("b", 130), "end"}
	for _, size := range []int{1, 2, 7, 4096} {
		t.Run(fmt.Sprintf("buffer of %d", size), func(t *testing.T) {
			t.Parallel()
			client, server := sockets(t, "tcp")
			want := messages
			var stream []byte
			for _, w := range want {
				stream = engine.AppendHeader(stream, engine.Header{Fin: true, Opcode: engine.OpText, Length: int64(len(w))})
				stream = append(stream, w...)
			}
			go func() {
				for i := range stream {
					server.Write(stream[i : i+1])
					time.Sleep(2 * time.Millisecond)
				}
			}()
			c := engine.NewConn(attach(t, client, nil), engine.Options{Role: engine.Client})
			buf := make([]byte, size)
			var msg []byte
			timeouts := 0
			for len(want) > 0 {
				h, n, err := c.RecvTimeout(buf, time.Millisecond)
				msg = append(msg, buf[:n]...)
				switch {
				case errors.Is(err, engine.ErrTimeout):
					timeouts++
				case err != nil:
					t.Fatal(err)
				case h.Opcode != engine.OpNone && h.Fin && h.Remaining == 0:
					if string(msg) != want[0] {
						t.Fatalf("%q, want %q", msg, want[0])
					}
					want, msg = want[1:], msg[:0]
				}
			}
			if timeouts == 0 {
				t.Error("there was no timeout")
			}
		})
	}
}

func TestRecvTimeoutOfZeroTakesWhatIsHere(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		client, server := sockets(t, network)
		c := engine.NewConn(attach(t, client, nil), engine.Options{Role: engine.Client})
		large := bytes.Repeat([]byte("x"), 10000)
		stream := append(engine.AppendHeader(nil, engine.Header{Fin: true, Opcode: engine.OpBinary, Length: 10000}), large...)
		buf := make([]byte, 10000)
		poll := func(d time.Duration) (h engine.Header, n int, err error) {
			for range 1000 { // loopback takes a moment
				if h, n, err = c.RecvTimeout(buf, d); !errors.Is(err, engine.ErrTimeout) {
					break
				}
				time.Sleep(time.Millisecond)
			}
			return h, n, err
		}
		server.Write(stream[:4])
		if h, _, err := poll(0); h.Length != 10000 || err != nil {
			t.Fatalf("%s: header: %+v, %v", network, h, err)
		}
		server.Write(stream[4:])
		if _, n, err := poll(-1); n == 0 || err != nil {
			t.Errorf("%s: payload: %d, %v", network, n, err)
		}
	}
}

func TestEarlyBytesAreReceivedFirst(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		stream := []byte("\x81\x05Hello\x81\x05World")
		for cut := range stream {
			client, server := sockets(t, network)
			c := engine.NewConn(attach(t, client, bytes.Clone(stream[:cut])), engine.Options{Role: engine.Client})
			go server.Write(stream[cut:])
			for _, want := range []string{"Hello", "World"} {
				if _, msg, err := c.RecvMessage(nil); string(msg) != want || err != nil {
					t.Fatalf("cut at %d: %q, %v", cut, msg, err)
				}
			}
		}
	})
}

func TestManySendersOneReceiver(t *testing.T) {
	const senders, messages = 64, 50
	client, server := pair(t, "tcp", engine.Limits{})
	var running sync.WaitGroup
	for g := range senders {
		running.Go(func() {
			for i := range messages {
				size := []int{5, 130, 5000, 70000}[(g+i)%4]
				if err := client.SendBinary(bytes.Repeat([]byte{byte(g)}, size)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	counts := map[byte]int{}
	var msg []byte
	for range senders * messages {
		_, m, err := server.RecvMessage(msg[:0])
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.Trim(m, string(rune(m[0])))) != 0 {
			t.Fatal("torn frame")
		}
		counts[m[0]]++
		msg = m
	}
	running.Wait()
	for g := range senders {
		if counts[byte(g)] != messages {
			t.Errorf("sender %d: %d messages, want %d", g, counts[byte(g)], messages)
		}
	}
}

func TestCloseFromAnotherGoroutineEndsAReceive(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		client, server := pair(t, network, engine.Limits{})
		served := make(chan error, 1)
		go func() { served <- echo(server) }()
		received := make(chan error, 1)
		go func() {
			_, _, err := client.RecvMessage(nil)
			received <- err
		}()
		time.Sleep(5 * time.Millisecond)
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		var closed *engine.CloseError
		if err := <-received; !errors.As(err, &closed) || !closed.Local {
			t.Errorf("the receive returned %v", err)
		}
		if err := <-served; !errors.As(err, &closed) || closed.Code != engine.CloseNormal {
			t.Errorf("the peer got %v", err)
		}
	})
}

func TestBothSidesClosingAtOnce(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		for range 20 {
			client, server := pair(t, network, engine.Limits{CloseTimeout: 10 * time.Second})
			var closers sync.WaitGroup
			for _, c := range []*engine.Conn{client, server} {
				closers.Go(func() {
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			closers.Wait()
		}
	}
}

func TestCloseDiscardsWhatAFloodingPeerSends(t *testing.T) {
	client, server := sockets(t, "tcp")
	c := engine.NewConn(attach(t, client, nil), engine.Options{Role: engine.Client, Limits: engine.Limits{CloseTimeout: 50 * time.Millisecond}})
	flooding := make(chan struct{})
	go func() {
		defer close(flooding)
		for {
			if _, err := server.Write(bytes.Repeat([]byte("\x82\x01x"), 1000)); err != nil {
				return
			}
		}
	}()
	if _, _, err := c.RecvMessage(nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); !errors.Is(err, engine.ErrTimeout) {
		t.Errorf("%v, want ErrTimeout", err)
	}
	<-flooding
}

// collector is a Handler that counts messages.
type collector struct {
	messages chan string
	closed   chan error
}

func newCollector() *collector {
	return &collector{messages: make(chan string, 1000), closed: make(chan error, 2)}
}

func (h *collector) handler() engine.Handler {
	return engine.Messages(
		func(_ *engine.Conn, _ engine.Opcode, msg []byte) { h.messages <- string(msg) },
		func(_ *engine.Conn, err error) { h.closed <- err },
	)
}

func TestPushDeliversEarlyAndLaterBytes(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		client, server := sockets(t, network)
		c := engine.NewConn(attach(t, client, []byte("\x81\x05early\x81\x05la")), engine.Options{Role: engine.Client})
		h := newCollector()
		if err := c.SetHandler(h.handler()); err != nil {
			t.Fatal(err)
		}
		io.WriteString(server, "ter\x88\x02\x03\xe8")
		for _, want := range []string{"early", "later"} {
			if got := <-h.messages; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		reply := make([]byte, 8)
		io.ReadFull(server, reply)
		server.Close()
		var closed *engine.CloseError
		if err := <-h.closed; !errors.As(err, &closed) || closed.Code != engine.CloseNormal {
			t.Errorf("%v", err)
		}
	})
}

func TestPushSeesTheEndThatComesWithTheLastBytes(t *testing.T) {
	ends := map[string]func(conn net.Conn){
		"closed": func(conn net.Conn) { conn.Close() },
		"reset": func(conn net.Conn) {
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		},
	}
	for end, finish := range ends {
		for _, before := range []int{0, 1, 20} { // messages just before: a busy connection
			t.Run(fmt.Sprintf("%s after %d", end, before), func(t *testing.T) {
				t.Parallel()
				for range 10 {
					client, server := sockets(t, "tcp")
					c := engine.NewConn(attach(t, client, nil), engine.Options{Role: engine.Client})
					h := newCollector()
					block := make(chan struct{})
					c.SetHandler(engine.Messages(func(_ *engine.Conn, _ engine.Opcode, msg []byte) {
						h.messages <- string(msg)
						if string(msg) == "hold" {
							<-block // until the end is there too
						}
					}, func(_ *engine.Conn, err error) { h.closed <- err }))
					for range before {
						io.WriteString(server, "\x81\x01x")
						<-h.messages
					}
					io.WriteString(server, "\x81\x04hold")
					<-h.messages
					io.WriteString(server, "\x81\x04last")
					finish(server)
					time.Sleep(time.Millisecond)
					close(block)
					var lost *engine.CloseError
					if err := <-h.closed; !errors.As(err, &lost) || lost.Code != engine.CloseAbnormal {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

func TestPushEchoAndCloseFromOutside(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		client, server := pair(t, network, engine.Limits{})
		serverClosed := make(chan error, 2)
		server.SetHandler(engine.Messages(func(c *engine.Conn, op engine.Opcode, msg []byte) {
			if err := c.SendFrame(op, true, msg); err != nil {
				t.Error(err)
			}
		}, func(_ *engine.Conn, err error) { serverClosed <- err }))
		h := newCollector()
		client.SetHandler(h.handler())
		for i := range 100 {
			want := strings.Repeat("m", i*97)
			if err := client.SendText([]byte(want)); err != nil {
				t.Fatal(err)
			}
			if got := <-h.messages; got != want {
				t.Fatalf("%d bytes, want %d", len(got), len(want))
			}
		}
		if err := client.CloseWith(4010, "enough"); err != nil {
			t.Error(err)
		}
		var closed *engine.CloseError
		if err := <-h.closed; !errors.As(err, &closed) || !closed.Local {
			t.Errorf("client: %v", err)
		}
		if err := <-serverClosed; !errors.As(err, &closed) || closed.Code != 4010 {
			t.Errorf("server: %v", err)
		}
	})
}

func TestPushGivesUpOnAPeerThatDoesNotCompleteTheClose(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		a, b := sockets(t, network)
		go io.Copy(io.Discard, b)
		c := engine.NewConn(attach(t, a, nil), engine.Options{Role: engine.Client, Limits: engine.Limits{CloseTimeout: 20 * time.Millisecond}})
		h := newCollector()
		c.SetHandler(h.handler())
		c.Close()
		if err := <-h.closed; !errors.Is(err, engine.ErrClosed) || !errors.Is(err, engine.ErrTimeout) {
			t.Errorf("%v", err)
		}
	})
}

func TestPushEndsAtTheRecvDeadline(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		a, _ := sockets(t, network)
		c := engine.NewConn(attach(t, a, nil), engine.Options{Role: engine.Client})
		h := newCollector()
		c.SetHandler(h.handler())
		c.SetRecvDeadline(time.Now().Add(5 * time.Millisecond))
		if err := <-h.closed; !errors.Is(err, engine.ErrTimeout) {
			t.Errorf("%v", err)
		}
	})
}

func TestOnlyNetpollAllocatesForAnEcho(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	for _, size := range []int{16, 125, 4096, 65536} {
		client, server := pair(t, "tcp", engine.Limits{})
		payload := bytes.Repeat([]byte("a"), size)
		buf := make([]byte, 0, size)
		carry := func(from, to *engine.Conn) {
			if err := from.SendText(payload); err != nil {
				t.Fatal(err)
			}
			if _, msg, err := to.RecvMessage(buf); len(msg) != size || err != nil {
				t.Fatal(len(msg), err)
			}
		}
		allocs := testing.AllocsPerRun(200, func() {
			carry(client, server)
			carry(server, client)
		})
		const each = 2 // for a message received: a closure for the task, one for its goroutine
		if allocs > 2*each {
			t.Errorf("%d bytes: %v allocations for two messages", size, allocs)
		}
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, mode := range []string{"pull", "push"} {
		b.Run(mode, func(b *testing.B) {
			client, server := pair(b, "tcp", engine.Limits{})
			go echo(server)
			payload := make([]byte, 128)
			b.ReportAllocs()
			if mode == "pull" {
				buf := make([]byte, 0, 128)
				for b.Loop() {
					client.SendBinary(payload)
					if _, _, err := client.RecvMessage(buf); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				done := make(chan struct{})
				n := 0
				client.SetHandler(engine.Messages(func(c *engine.Conn, op engine.Opcode, msg []byte) {
					if n++; n == b.N {
						close(done)
						return
					}
					c.SendBinary(msg)
				}, nil))
				b.ResetTimer()
				client.SendBinary(payload)
				<-done
			}
			client.Close()
		})
	}
}
