package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"golang.org/x/net/nettest"
)

func (s Suite) testEchoOfEverySize(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.pair(t, network, websock.Limits{CloseTimeout: patience})
		echoed := make(chan error, 1)
		go func() { echoed <- echo(server) }()
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
			want := bytes.Repeat([]byte("e"), size)
			sent := make(chan error, 1)
			go func() { sent <- client.SendBinary(want) }()
			op, got, err := client.RecvMessage(nil)
			if op != websock.OpBinary || !bytes.Equal(got, want) || err != nil {
				t.Fatalf("%d bytes: %v, %d bytes, %v", size, op, len(got), err)
			}
			if err := wait(t, "the send", sent); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.CloseWith(4003, "done"); err != nil {
			t.Error(err)
		}
		var closed *websock.CloseError
		if err := wait(t, "the server", echoed); !errors.As(err, &closed) || closed.Code != 4003 || closed.Reason != "done" {
			t.Errorf("server: %v", err)
		}
	})
}

func (s Suite) testEarlyBytesAreReceivedFirst(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		stream := []byte("\x81\x05Hello\x81\x05World")
		for cut := range stream {
			client, server := s.sockets(t, network)
			c := websock.NewConn(s.attach(t, client, bytes.Clone(stream[:cut])), websock.Client, websock.Options{})
			go server.Write(stream[cut:])
			for _, want := range []string{"Hello", "World"} {
				if _, msg, err := c.RecvMessage(nil); string(msg) != want || err != nil {
					t.Fatalf("cut at %d: %q, %v", cut, msg, err)
				}
			}
		}
	})
}

func (s Suite) testTimeoutsLoseNoByteOfASlowStream(t *testing.T) {
	messages := []string{"", "a", strings.Repeat("b", 130), "end"}
	for _, size := range []int{1, 2, 7, 4096} {
		t.Run(fmt.Sprintf("buffer of %d", size), func(t *testing.T) {
			t.Parallel()
			client, server := s.sockets(t, "tcp")
			want := messages
			var stream []byte
			for _, w := range want {
				stream = engine.AppendHeader(stream, websock.Header{Fin: true, Opcode: websock.OpText, Length: int64(len(w))})
				stream = append(stream, w...)
			}
			c := s.conn(t, client, websock.Client, websock.Limits{})
			buf := make([]byte, size)
			if _, _, err := c.RecvTimeout(buf, time.Millisecond); !errors.Is(err, websock.ErrTimeout) {
				t.Fatalf("before anything is sent: %v", err)
			}
			go func() {
				for i := range stream {
					server.Write(stream[i : i+1])
					time.Sleep(2 * time.Millisecond) // so that there are other timeouts, unless the machine is busy
				}
			}()
			var msg []byte
			for len(want) > 0 {
				h, n, err := c.RecvTimeout(buf, time.Millisecond)
				msg = append(msg, buf[:n]...)
				switch {
				case errors.Is(err, websock.ErrTimeout):
				case err != nil:
					t.Fatal(err)
				case h.Opcode != websock.OpNone && h.Fin && h.Remaining == 0:
					if string(msg) != want[0] {
						t.Fatalf("%q, want %q", msg, want[0])
					}
					want, msg = want[1:], msg[:0]
				}
			}
		})
	}
}

func (s Suite) testRecvTimeoutOfZeroReturnsWhatHasArrived(t *testing.T) {
	if s.NoPoll {
		t.Skip("the suite's NoPoll is set")
	}
	for _, network := range []string{"tcp", "unix"} {
		client, server := s.sockets(t, network)
		c := s.conn(t, client, websock.Client, websock.Limits{})
		large := bytes.Repeat([]byte("x"), 10000)
		stream := append(engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: websock.OpBinary, Length: 10000}), large...)
		buf := make([]byte, 10000)
		poll := func(d time.Duration) (h websock.Header, n int, err error) {
			for start := time.Now(); time.Since(start) < patience; time.Sleep(time.Millisecond) { // loopback takes a moment
				if h, n, err = c.RecvTimeout(buf, d); !errors.Is(err, websock.ErrTimeout) {
					break
				}
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

// RecvTimeout returns after its timeout, also if another goroutine sets later deadlines meanwhile.
func (s Suite) testNothingExtendsRecvTimeout(t *testing.T) {
	client, _ := s.sockets(t, "tcp")
	c := s.conn(t, client, websock.Client, websock.Limits{})
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case <-over:
				return
			default:
				c.SetRecvDeadline(time.Now().Add(time.Hour))
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	for range 20 {
		received := make(chan error, 1)
		go func() {
			_, _, err := c.RecvTimeout(nil, 5*time.Millisecond)
			received <- err
		}()
		if err := wait(t, "the receive", received); !errors.Is(err, websock.ErrTimeout) {
			t.Fatal(err)
		}
	}
}

// A deadline that is set while Recv resets the deadline of an earlier RecvTimeout takes effect.
func (s Suite) testARecvDeadlineIsNotLost(t *testing.T) {
	client, _ := s.sockets(t, "tcp")
	c := s.conn(t, client, websock.Client, websock.Limits{})
	for range 100 {
		c.SetRecvDeadline(time.Time{})
		c.RecvTimeout(nil, 0) // whose time limit the next receive takes back
		received := make(chan error, 1)
		go func() {
			_, _, err := c.Recv(nil)
			received <- err
		}()
		go c.SetRecvDeadline(time.Now().Add(time.Millisecond))
		if err := wait(t, "the receive", received); !errors.Is(err, websock.ErrTimeout) {
			t.Fatal(err)
		}
	}
}

// Timeouts in the middle of a message of NextReader, and messages that are not read to their end, do
// not make it lose its place in the stream.
func (s Suite) testNextReaderLosesNothingAtTimeouts(t *testing.T) {
	client, server := s.pair(t, "tcp", websock.Limits{CloseTimeout: patience})
	go func() {
		for i := range 30 {
			w, err := server.NextWriter(websock.OpBinary)
			if err != nil {
				t.Error(err)
				return
			}
			for part := range 3 {
				w.Write([]byte(strings.Repeat(fmt.Sprint(part), 17<<10)))
				if i%5 == 0 {
					time.Sleep(3 * time.Millisecond)
				}
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
		server.Close()
	}()
	returnsWithin(t, 2*patience, "reading", func() {
		read := func(r io.Reader, p []byte) (n int) {
			for {
				client.SetRecvDeadline(time.Now().Add(time.Millisecond))
				more, err := r.Read(p[n:])
				switch n += more; {
				case err == io.EOF || n == len(p):
					return n
				case err != nil && err != websock.ErrTimeout:
					t.Error(err)
					return n
				}
			}
		}
		for i := range 30 {
			var r io.Reader
			err := websock.ErrTimeout
			for err == websock.ErrTimeout {
				client.SetRecvDeadline(time.Now().Add(time.Millisecond))
				_, r, err = client.NextReader()
			}
			if err != nil {
				t.Error(err)
				return
			}
			p := make([]byte, 3*17<<10+1)
			if i%3 > 0 {
				p = p[:i*1000] // the rest is skipped
			}
			if n := read(r, p); n < len(p)-1 || n > 0 && p[0] != '0' || n > 40<<10 && p[n-1] != '2' {
				t.Errorf("message %d: %d bytes of %d, or others", i, n, len(p))
			}
		}
		client.SetRecvDeadline(time.Time{})
		var closed *websock.CloseError
		if _, _, err := client.NextReader(); !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
			t.Errorf("the end: %v", err)
		}
	})
}

// netConns returns the NetConns of both ends, that of role first.
func (s Suite) netConns(t testing.TB, network string, role websock.Role, timeout time.Duration) (a, b net.Conn) {
	client, server := s.pair(t, network, websock.Limits{CloseTimeout: timeout})
	a, b = client.NetConn(websock.OpBinary), server.NetConn(websock.OpBinary)
	if role == websock.Server {
		a, b = b, a
	}
	return a, b
}

func (s Suite) testNetConnIsANetConn(t *testing.T) {
	s.eachRole(t, func(t *testing.T, role websock.Role) {
		nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
			a, b = s.netConns(t, "tcp", role, patience)
			a, b = answerer{a}, answerer{b} // else a test in which one end is closed would wait for that long
			// Both at once: neither has to wait for the other.
			return a, b, func() {
				var closing sync.WaitGroup
				closing.Go(func() { a.Close() })
				closing.Go(func() { b.Close() })
				closing.Wait()
			}, nil
		})
	})
}

// After a write to a peer that does not read has timed out, neither a Read under way nor a later one
// blocks, whatever the size of the write.
func (s Suite) testNetConnFailsAfterAWriteTimedOut(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		for _, size := range []int{1 << 10, 64 << 10, 16 << 20} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				stream, _ := s.netConns(t, network, websock.Client, 100*time.Millisecond)
				buf := make([]byte, 10)
				read := make(chan error, 1)
				go func() {
					_, err := stream.Read(buf)
					read <- err
				}()
				isTimeout := func(err error) bool {
					timeout, ok := err.(net.Error)
					return ok && timeout.Timeout() && errors.Is(err, os.ErrDeadlineExceeded)
				}
				returnsWithin(t, 2*patience, "Write", func() {
					p := make([]byte, size)
					var err error
					for stream.SetWriteDeadline(time.Now().Add(100*time.Millisecond)) == nil { // not over yet
						_, err = stream.Write(p)
					}
					if !isTimeout(err) {
						t.Errorf("a write that timed out: %T %v", err, err)
					}
					if _, err := stream.Write(p); !isTimeout(err) {
						t.Errorf("the next one: %T %v", err, err)
					}
				})
				returnsWithin(t, 2*patience, "Read", func() {
					if err := <-read; err == nil {
						t.Error("the Read under way has read something")
					}
					if _, err := stream.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("a later Read doesn't say why: %v", err)
					}
					stream.SetWriteDeadline(time.Time{})
					if _, err := stream.Write([]byte("x")); !isTimeout(err) {
						t.Errorf("a later Write: %v", err)
					}
				})
				returnsWithin(t, 2*patience, "Close", func() { stream.Close() })
			})
		}
	})
}
