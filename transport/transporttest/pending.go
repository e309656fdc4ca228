package transporttest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// A stream is sent with TryWrite, beside a Receiver that is called all the time, and what could not be
// written without waiting is followed by a TryWrite inside Wrote.
func (s Suite) testAPendingWriteIsFinishedAndFollowed(t *testing.T) {
	const size, received = 16 << 20, 1 << 20 // more than the system's buffers take
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.sockets(t, network)
		r := &byteReceiver{most: 1000}
		if s.pushes {
			s.push(t, client, r)
			go func() {
				for n := 0; n < received; n += 8 << 10 {
					server.Write(numbered(n, 8<<10))
				}
			}()
		} else {
			r.conn = s.attach(t, client, nil)
		}
		w := newTryWriter(t, r.conn, size)
		go w.write()
		w.stalls(t)
		got := make([]byte, size)
		returnsWithin(t, 4*patience, "the peer's read", func() {
			if n, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, numbered(0, size)) {
				t.Errorf("the peer got %d bytes, or others, and %v", n, err)
			}
		})
		if err := wait(t, "the last write", w.done); err != nil {
			t.Error(err)
		}
		if s.pushes {
			r.receives(t, received)
		}
		if pending := w.finished > 0; pending == w.queue.Queues() {
			t.Errorf("%d writes were pending; Queues is %v", w.finished, w.queue.Queues())
		}
	})
}

// When a connection ends, Wrote is called once with the reason, whether Finish was called before.
func (s Suite) testAPendingWriteEndsWithItsConnection(t *testing.T) {
	closes := func(c transport.Conn, _ net.Conn) { c.Close() }
	ends := map[string]struct {
		end func(c transport.Conn, peer net.Conn)
		err error // nil: any
	}{
		"Close":              {closes, net.ErrClosed},
		"the write deadline": {func(c transport.Conn, _ net.Conn) { c.SetWriteDeadline(time.Now().Add(time.Millisecond)) }, os.ErrDeadlineExceeded},
		"the peer's end":     {func(_ transport.Conn, peer net.Conn) { socketOf(peer).Close() }, nil},
	}
	for name, test := range ends {
		for _, first := range []string{"Finish", "the end"} {
			s.eachNetwork(t, func(t *testing.T, network string) {
				client, server := s.sockets(t, network)
				c := s.attach(t, client, nil)
				if c.(transport.Queue).Queues() {
					t.Skip("the transport queues what it can't write")
				}
				if s.pushes {
					c.(transport.Pusher).Push(&byteReceiver{t: t, conn: c, finished: make(chan error, 2)})
				}
				w := newTryWriter(t, c, 64<<20)
				if first == "Finish" {
					go w.write()
					w.stalls(t)
					test.end(c, server)
				} else {
					w.beforeFinish = func() { test.end(c, server) }
					go w.write()
				}
				err := wait(t, name+": Wrote", w.done)
				if err == nil || test.err != nil && !errors.Is(err, test.err) {
					t.Errorf("%s, after %s: Wrote got %v", name, first, err)
				}
				later := newTryWriter(t, c, 1)
				later.write()
				if err := wait(t, name+": a later write", later.done); err == nil {
					t.Errorf("%s, after %s: more can be written", name, first)
				}
				if len(w.done) > 0 {
					t.Errorf("%s, after %s: Wrote is called again", name, first)
				}
			})
		}
	}
}
