package transporttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// ends are ways in which a connection ends for who uses c.
var ends = map[string]func(c, peer *engine.Conn){
	"Close":         func(c, _ *engine.Conn) { c.Close() },
	"Close twice":   func(c, _ *engine.Conn) { c.Close(); c.Close() },
	"Abort":         func(c, _ *engine.Conn) { c.Abort(nil) },
	"Abort, Close":  func(c, _ *engine.Conn) { c.Abort(nil); c.Close() },
	"the peer's":    func(c, peer *engine.Conn) { go peer.Close(); c.Recv(nil) },
	"the peer gone": func(c, peer *engine.Conn) { peer.Abort(nil); c.Recv(nil) },
}

// sendings are all ways to send size bytes.
func sendings(size int) map[string]func(c *engine.Conn) error {
	p := make([]byte, size)
	return map[string]func(c *engine.Conn) error{
		"SendBinary":  func(c *engine.Conn) error { return c.SendBinary(p) },
		"TrySend":     func(c *engine.Conn) error { return c.TrySend(engine.OpBinary, p) },
		"SendContext": func(c *engine.Conn) error { return c.SendContext(context.Background(), engine.OpBinary, p) },
		"SendPrepared": func(c *engine.Conn) error {
			message, err := engine.NewPreparedMessage(engine.OpBinary, p)
			return errors.Join(err, c.SendPrepared(message))
		},
		"Reserve": func(c *engine.Conn) error {
			sb, err := c.Reserve(size)
			if err != nil {
				return err
			}
			return sb.SendBinary(size)
		},
		"NextWriter": func(c *engine.Conn) error {
			w, err := c.NextWriter(engine.OpBinary)
			if err != nil {
				return err
			}
			_, err = w.Write(p)
			return errors.Join(err, w.Close())
		},
		"NetConn": func(c *engine.Conn) error { _, err := c.NetConn(engine.OpBinary).Write(p); return err },
		"Cork": func(c *engine.Conn) error {
			c.Cork()
			err := c.SendBinary(p)
			return errors.Join(err, c.Flush())
		},
	}
}

// Whatever is called after the end of a connection returns, and says that this is the end.
func (s Suite) testAfterTheEndEverythingSaysSo(t *testing.T) {
	buf := make([]byte, 100)
	receivings := map[string]func(c *engine.Conn) error{
		"Recv":        func(c *engine.Conn) error { _, _, err := c.Recv(buf); return err },
		"RecvTimeout": func(c *engine.Conn) error { _, _, err := c.RecvTimeout(buf, time.Minute); return err },
		"RecvMessage": func(c *engine.Conn) error { _, _, err := c.RecvMessage(buf[:0]); return err },
		"NextReader":  func(c *engine.Conn) error { _, _, err := c.NextReader(); return err },
		"SetHandler":  func(c *engine.Conn) error { return c.SetHandler(newCollector().handler()) },
	}
	for end, finish := range ends {
		t.Run(end, func(t *testing.T) {
			client, server := s.pair(t, "tcp", engine.Limits{CloseTimeout: 50 * time.Millisecond})
			soon(t, "ending", func() { finish(client, server) })
			soon(t, "a call after the end", func() {
				for name, receive := range receivings {
					var closed *engine.CloseError
					if err := receive(client); !errors.As(err, &closed) {
						t.Errorf("%s: %v", name, err)
					}
				}
				for range 20 { // where the system has to notice first
					client.SendPing(nil)
					time.Sleep(time.Millisecond)
				}
				for name, send := range sendings(100) {
					var closed *engine.CloseError
					if err := send(client); !errors.As(err, &closed) {
						t.Errorf("%s: %v", name, err)
					}
				}
				for i := range 2 {
					if _, err := client.NetConn(engine.OpText).Read(buf); err == nil {
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
		for end, finish := range map[string]func(c *engine.Conn){
			"Close": func(c *engine.Conn) { c.Close() },
			"Abort": func(c *engine.Conn) { c.Abort(nil) },
		} {
			t.Run(fmt.Sprintf("%s/%s", name, end), func(t *testing.T) {
				t.Parallel()
				client, _ := s.pair(t, "tcp", engine.Limits{CloseTimeout: 50 * time.Millisecond})
				var sending sync.WaitGroup
				for range 3 {
					sending.Go(func() {
						for {
							err := send(client)
							var closed *engine.CloseError
							switch {
							case errors.As(err, &closed):
								return
							case errors.Is(err, engine.ErrSendQueueFull), errors.Is(err, engine.ErrFrameOrder):
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
