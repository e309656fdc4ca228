package transporttest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A pinger is the peer of a connection whose send deadline is tested.
type pinger struct {
	*websock.Conn
	pongs, messages chan string
}

// newPinger returns the peer of a connection of role.
func (s Suite) newPinger(t *testing.T, role websock.Role, far net.Conn) *pinger {
	p := &pinger{pongs: make(chan string, 10), messages: make(chan string, 10)}
	p.Conn = websock.NewConn(s.attach(t, far, nil), peerOf(role), websock.Options{
		OnPong: func(_ *websock.Conn, payload []byte) { p.pongs <- string(payload) },
	})
	go func() {
		for {
			_, msg, err := p.RecvMessage(nil)
			if err != nil {
				return
			}
			p.messages <- string(msg)
		}
	}()
	return p
}

func peerOf(role websock.Role) websock.Role {
	if role == websock.Client {
		return websock.Server
	}
	return websock.Client
}

// ping fails the test if a ping isn't answered.
func (p *pinger) ping(t *testing.T, payload string) {
	t.Helper()
	if err := p.SendPing([]byte(payload)); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, "the pong", p.pongs); got != payload {
		t.Errorf("a pong with %q, want %q", got, payload)
	}
}

// receiving runs f with connections that a goroutine receives from, and with such that have a Handler.
func (s Suite) receiving(t *testing.T, f func(t *testing.T, begin func(c *websock.Conn))) {
	s.pulledAndPushed(t, func(t *testing.T, begin func(c *websock.Conn)) {
		f(t, func(c *websock.Conn) {
			if begin(c); !strings.HasSuffix(t.Name(), "/pushed") {
				go c.RecvMessage(nil)
			}
		})
	})
}

// A send deadline that passes while nothing is sent ends neither the connection, when pings are answered,
// nor later sends with another deadline.
func (s Suite) testAPassedSendDeadlineIsThatOfSendsOnly(t *testing.T) {
	s.eachRole(t, func(t *testing.T, role websock.Role) {
		s.receiving(t, func(t *testing.T, begin func(c *websock.Conn)) {
			near, far := s.sockets(t, "tcp")
			c := s.conn(t, near, role, websock.Limits{})
			peer := s.newPinger(t, role, far)
			begin(c)
			for i, deadline := range []time.Time{time.Now().Add(time.Hour), {}, time.Now().Add(time.Hour)} {
				c.SetSendDeadline(deadline)
				text := fmt.Sprint("message ", i)
				if err := c.SendText([]byte(text)); err != nil {
					t.Fatal(err)
				}
				if got := wait(t, text, peer.messages); got != text {
					t.Errorf("%q, want %q", got, text)
				}
				c.SetSendDeadline(time.Now().Add(-time.Second))
				peer.ping(t, "first")
				peer.ping(t, "second")
				if err := c.Err(); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
}

// A deadline that no one lives to see is none, also where its nanoseconds since 1970 are more than an int64.
func (s Suite) testADeadlineMayBeFarAway(t *testing.T) {
	s.pulledAndPushed(t, func(t *testing.T, begin func(c *websock.Conn)) {
		near, far := s.sockets(t, "tcp")
		c := s.conn(t, near, websock.Client, websock.Limits{})
		peer := s.newPinger(t, websock.Client, far)
		begin(c)
		for _, year := range []int{2200, 2300, 2500, 9999, 1e9} {
			at := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			c.SetSendDeadline(at)
			c.SetRecvDeadline(at)
			peer.SetSendDeadline(at)
			peer.SetRecvDeadline(at)
			for name, send := range sends(10) {
				if err := send(c); err != nil {
					t.Fatalf("%d: %s: %v", year, name, err)
				}
				wait(t, "a message", peer.messages)
			}
			if err := c.Err(); err != nil {
				t.Fatal(year, ": ", err)
			}
		}
	})
}

// A send after its deadline fails and ends sending, whatever was answered meanwhile.
func (s Suite) testASendAfterItsDeadlineFails(t *testing.T) {
	for name, send := range sends(10) {
		t.Run(name, func(t *testing.T) {
			s.mayRunInParallel(t)
			s.receiving(t, func(t *testing.T, begin func(c *websock.Conn)) {
				near, far := s.sockets(t, "tcp")
				c := s.conn(t, near, websock.Client, websock.Limits{})
				begin(c)
				c.SetSendDeadline(time.Now().Add(-time.Second))
				go far.Write(frameTo(websock.Client, websock.OpPing, "a ping"))
				pong := make([]byte, 2+4+len("a ping")) // read without a Conn, which would end with our direction
				if _, err := io.ReadFull(far, pong); err != nil || pong[0] != 0x80|byte(websock.OpPong) {
					t.Fatalf("%x, %v", pong, err)
				}
				err := send(c)
				for start := time.Now(); err == nil && time.Since(start) < patience; time.Sleep(time.Millisecond) {
					err = c.Err() // the goroutine that wrote the pong may write the message, too
				}
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%v", err)
				}
				c.SetSendDeadline(time.Time{})
				if err := c.SendText(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

// A peer that does not read, but sends pings without end, does not prolong a send.
func (s Suite) testPingsDoNotProlongASend(t *testing.T) {
	for name, send := range sends(1 << 20) {
		t.Run(name, func(t *testing.T) {
			s.mayRunInParallel(t)
			s.receiving(t, func(t *testing.T, begin func(c *websock.Conn)) {
				near, far := s.sockets(t, "tcp")
				c := s.conn(t, near, websock.Client, websock.Limits{WhenFull: websock.QueueWaits})
				begin(c)
				flood := []byte(strings.Repeat(string(frameTo(websock.Client, websock.OpPing, "ping")), 100))
				go func() {
					for {
						if _, err := far.Write(flood); err != nil {
							return
						}
					}
				}()
				t.Cleanup(func() { far.Close() })
				c.SetSendDeadline(time.Now().Add(100 * time.Millisecond))
				sent := make(chan error, 1)
				go func() {
					for {
						err := send(c)
						if errors.Is(err, websock.ErrSendQueueFull) {
							err = c.Drain(0)
						}
						if err != nil {
							sent <- err
							return
						}
					}
				}()
				if err := wait(t, "the send", sent); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// A peer that sends many pings and reads no pong gets what is queued at most, and the connection
// continues when it reads.
func (s Suite) testUnreadPongsAreBoundedAfterTheSendDeadline(t *testing.T) {
	const (
		pings     = 50_000
		sendQueue = 64 << 10
	)
	s.receiving(t, func(t *testing.T, begin func(c *websock.Conn)) {
		near, far := s.sockets(t, "tcp")
		c := s.conn(t, near, websock.Client, websock.Limits{SendQueue: sendQueue, PongRate: 1 << 30, WhenFull: websock.QueueWaits})
		begin(c)
		c.SetSendDeadline(time.Now().Add(-time.Second))
		flood := []byte(strings.Repeat(string(frameTo(websock.Client, websock.OpPing, strings.Repeat("p", 125))), 1000))
		flooded := make(chan error, 1)
		go func() {
			for range pings / 1000 {
				if _, err := far.Write(flood); err != nil {
					flooded <- err
					return
				}
			}
			flooded <- nil
		}()
		if err := wait(t, "the flood", flooded); err != nil {
			t.Fatal(err)
		}
		for start := time.Now(); c.Stats().PingsReceived < pings; time.Sleep(time.Millisecond) {
			if time.Since(start) > patience {
				t.Fatalf("%d pings of %d were received", c.Stats().PingsReceived, pings)
			}
		}
		if n, err := c.Queued(), c.Err(); n > sendQueue+200 || err != nil {
			t.Errorf("%d bytes are queued, %v", n, err)
		}
		peer := websock.NewConn(s.attach(t, far, nil), websock.Server, websock.Options{})
		c.SetSendDeadline(time.Time{})
		sent := make(chan error, 1)
		go func() { sent <- c.SendText([]byte("later")) }()
		returns(t, "what is received", func() {
			if _, msg, err := peer.RecvMessage(nil); string(msg) != "later" || err != nil {
				t.Errorf("%q, %v", msg, err)
			}
		})
		if err := wait(t, "the send", sent); err != nil {
			t.Error(err)
		}
	})
}
