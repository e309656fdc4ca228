//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"cmp"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
)

func TestCloseInAPollerCallbackDoesNotStopThePoller(t *testing.T) {
	runCallbacksInline(t)
	closers := map[string]func(c *websock.Conn, tr *Conn){
		"the transport":  func(_ *websock.Conn, tr *Conn) { tr.Close() },
		"the connection": func(c *websock.Conn, _ *Conn) { c.Close() },
		"from elsewhere": func(_ *websock.Conn, tr *Conn) {
			var closing sync.WaitGroup
			closing.Go(func() { tr.Close() })
			closing.Wait()
		},
	}
	for what, closeIt := range closers {
		t.Run(what, func(t *testing.T) {
			for range 20 {
				client, server := netpair.Sockets(t, "tcp")
				tr := attached(t, client, nil)
				c := websock.NewConn(tr, websock.Client, websock.Options{Limits: websock.Limits{CloseTimeout: time.Millisecond}})
				closed := make(chan error, 1)
				c.SetHandler(websock.Messages(
					func(c *websock.Conn, _ websock.Opcode, _ []byte) { closeIt(c, tr) },
					func(_ *websock.Conn, err error) { closed <- err },
				))
				io.WriteString(server, "\x81\x01x")
				<-closed
				server.Close()
			}
			bystander, server := netpair.Sockets(t, "tcp")
			tr := attached(t, bystander, nil)
			tr.SetReadDeadline(time.Now().Add(time.Minute))
			io.WriteString(server, "alive")
			if view, err := tr.View(); string(view) != "alive" || err != nil {
				t.Errorf("another connection gets %q, %v", view, err)
			}
		})
	}
}

func TestResumeDuringAHandlerCallDoesNotStopThePoller(t *testing.T) {
	runCallbacksInline(t)
	client, server := netpair.Sockets(t, "tcp")
	c := websock.NewConn(attached(t, client, nil), websock.Client, websock.Options{})
	messages := make(chan string)
	c.SetHandler(websock.Messages(func(c *websock.Conn, _ websock.Opcode, msg []byte) {
		c.Pause()
		resumed := make(chan struct{})
		go func() {
			c.Resume()
			close(resumed)
		}()
		<-resumed
		messages <- string(msg)
	}, nil))
	for _, want := range []string{"a", "b", "c"} {
		io.WriteString(server, "\x81\x01"+want)
		if got := <-messages; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestCloseDuringAPollerCallbackDoesNotStopThePoller(t *testing.T) {
	runCallbacksInline(t)
	for range 50 {
		client, server := netpair.Sockets(t, "tcp")
		tr := attached(t, client, nil)
		var both sync.WaitGroup
		both.Go(func() {
			for range 20 {
				if _, err := server.Write([]byte("x")); err != nil {
					return
				}
			}
		})
		tr.View()
		tr.Close()
		both.Wait()
	}
	client, server := netpair.Sockets(t, "tcp")
	tr := attached(t, client, nil)
	tr.SetReadDeadline(time.Now().Add(time.Minute))
	io.WriteString(server, "alive")
	if view, err := tr.View(); string(view) != "alive" || err != nil {
		t.Errorf("%q, %v", view, err)
	}
}

// Built with the race detector, netpoll takes the event of a descriptor that was closed for one of the
// next that has its number.
func TestAHangupOfAnotherConnectionEndsNothing(t *testing.T) {
	const size = 64 << 10 // so little that the descriptor stays watched
	reads := map[string]func(tr *Conn) (got []byte, err error){
		"View": func(tr *Conn) (got []byte, err error) {
			for {
				view, err := tr.View()
				if err != nil {
					return got, err
				}
				got = append(got, view...)
				tr.Consume(len(view))
			}
		},
		"a Receiver": func(tr *Conn) ([]byte, error) {
			r := &gatherer{t: tr, done: make(chan struct{})}
			tr.Push(r)
			<-r.done
			return r.got, io.EOF
		},
		"Linger": func(tr *Conn) ([]byte, error) {
			err := tr.Linger(20 * time.Second)
			return make([]byte, size), cmp.Or(err, io.EOF)
		},
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			client, server := netpair.Sockets(t, "tcp")
			tr := attached(t, client, nil)
			tr.SetReadDeadline(time.Now().Add(20 * time.Second))
			type result struct {
				got []byte
				err error
			}
			ended := make(chan result, 1)
			go func() {
				got, err := read(tr)
				ended <- result{got, err}
			}()
			for range 2 {
				hangUp(t, tr)
				if _, err := server.Write(make([]byte, size/2)); err != nil {
					t.Error(err)
				}
				waitUntil(t, "the descriptor is watched again", tr.isWatched)
			}
			server.Close()
			if r := <-ended; len(r.got) != size || r.err != io.EOF {
				t.Errorf("%d bytes of %d, %v", len(r.got), size, r.err)
			}
		})
	}
}
