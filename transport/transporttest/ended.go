package transporttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// ends are ways in which a connection ends for who uses c.
var ends = map[string]func(c, peer *websock.Conn){
	"Close":         func(c, _ *websock.Conn) { c.Close() },
	"Close twice":   func(c, _ *websock.Conn) { c.Close(); c.Close() },
	"Abort":         func(c, _ *websock.Conn) { c.Abort(nil) },
	"Abort, Close":  func(c, _ *websock.Conn) { c.Abort(nil); c.Close() },
	"the peer's":    func(c, peer *websock.Conn) { go peer.Close(); c.Recv(nil) },
	"the peer gone": func(c, peer *websock.Conn) { peer.Abort(nil); c.Recv(nil) },
}

// sendings are all ways to send size bytes.
func sendings(size int) map[string]func(c *websock.Conn) error {
	p := make([]byte, size)
	return map[string]func(c *websock.Conn) error{
		"SendBinary":  func(c *websock.Conn) error { return c.SendBinary(p) },
		"TrySend":     func(c *websock.Conn) error { return c.TrySend(websock.OpBinary, p) },
		"SendContext": func(c *websock.Conn) error { return c.SendContext(context.Background(), websock.OpBinary, p) },
		"SendPrepared": func(c *websock.Conn) error {
			message, err := websock.NewPreparedMessage(websock.OpBinary, p)
			return errors.Join(err, c.SendPrepared(message))
		},
		"Reserve": func(c *websock.Conn) error {
			sb, err := c.Reserve(size)
			if err != nil {
				return err
			}
			return sb.SendBinary(size)
		},
		"NextWriter": func(c *websock.Conn) error {
			w, err := c.NextWriter(websock.OpBinary)
			if err != nil {
				return err
			}
			_, err = w.Write(p)
			return errors.Join(err, w.Close())
		},
		"NetConn": func(c *websock.Conn) error { _, err := c.NetConn(websock.OpBinary).Write(p); return err },
		"Cork": func(c *websock.Conn) error {
			c.Cork()
			err := c.SendBinary(p)
			return errors.Join(err, c.Flush())
		},
	}
}

// Whatever is called after the end of a connection returns, and says that this is the end.
func (s Suite) testAfterTheEndEverythingSaysSo(t *testing.T) {
	buf := make([]byte, 100)
	receivings := map[string]func(c *websock.Conn) error{
		"Recv":        func(c *websock.Conn) error { _, _, err := c.Recv(buf); return err },
		"RecvTimeout": func(c *websock.Conn) error { _, _, err := c.RecvTimeout(buf, time.Minute); return err },
		"RecvMessage": func(c *websock.Conn) error { _, _, err := c.RecvMessage(buf[:0]); return err },
		"NextReader":  func(c *websock.Conn) error { _, _, err := c.NextReader(); return err },
		"SetHandler":  func(c *websock.Conn) error { return c.SetHandler(newCollector().handler()) },
	}
	for end, finish := range ends {
		t.Run(end, func(t *testing.T) {
			client, server := s.pair(t, "tcp", websock.Limits{CloseTimeout: 50 * time.Millisecond})
			soon(t, "ending", func() { finish(client, server) })
			soon(t, "a call after the end", func() {
				for name, receive := range receivings {
					var closed *websock.CloseError
					if err := receive(client); !errors.As(err, &closed) {
						t.Errorf("%s: %v", name, err)
					}
				}
				for range 20 { // where the system has to notice first
					client.SendPing(nil)
					time.Sleep(time.Millisecond)
				}
				for name, send := range sendings(100) {
					var closed *websock.CloseError
					if err := send(client); !errors.As(err, &closed) {
						t.Errorf("%s: %v", name, err)
					}
				}
				for i := range 2 {
					if _, err := client.NetConn(websock.OpText).Read(buf); err == nil {
						t.Errorf("NetConn reads, %d", i)
					}
				}
				client.Pause()
				client.Resume()
				client.Stats()
				client.Drain(0)
				client.SetValue(1)
				client.LocalAddr()
				client.Close()
				client.Abort(io.EOF)
			})
		})
	}
}

// Whoever waits for a peer that doesn't read returns when the connection ends.
func (s Suite) testSendersThatWaitReturnAtTheEnd(t *testing.T) {
	for name, send := range sendings(40 << 10) {
		for end, finish := range map[string]func(c *websock.Conn){
			"Close": func(c *websock.Conn) { c.Close() },
			"Abort": func(c *websock.Conn) { c.Abort(nil) },
		} {
			t.Run(fmt.Sprintf("%s/%s", name, end), func(t *testing.T) {
				t.Parallel()
				client, _ := s.pair(t, "tcp", websock.Limits{CloseTimeout: 50 * time.Millisecond})
				var sending sync.WaitGroup
				for range 3 {
					sending.Go(func() {
						for {
							err := send(client)
							var closed *websock.CloseError
							switch {
							case errors.As(err, &closed):
								return
							case errors.Is(err, websock.ErrSendQueueFull), errors.Is(err, websock.ErrFrameOrder):
								time.Sleep(time.Millisecond)
							case err != nil:
								t.Errorf("%v", err)
								return
							}
						}
					})
				}
				time.Sleep(50 * time.Millisecond) // until they wait
				soon(t, end, func() { finish(client) })
				soon(t, "a sender", sending.Wait)
			})
		}
	}
}
