//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
)

// flood sends until the peer takes no more for a moment, and returns how much it took.
func flood(t *testing.T, to interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}) (total int) {
	t.Helper()
	p := make([]byte, 64<<10)
	for {
		to.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := to.Write(p)
		total += n
		if err != nil {
			return total
		}
		if total > 256<<20 {
			t.Fatal("the peer is never held back")
		}
	}
}

func TestWhatNobodyReceivesIsLeftWithTheSystem(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		client, server := sockets(t, network)
		tr := attached(t, client, nil)
		total := flood(t, server)
		server.Close()
		got := 0
		for {
			view, err := tr.View()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got += len(view)
			tr.Consume(len(view))
		}
		if got != total {
			t.Errorf("%d bytes came, %d were sent", got, total)
		}
	})
}

func TestPauseLeavesTheBytesWithTheSystem(t *testing.T) {
	client, server := sockets(t, "tcp")
	tr := attached(t, client, nil)
	c := engine.NewConn(tr, engine.Options{Role: engine.Client})
	h := newCollector()
	c.SetHandler(h.handler())
	io.WriteString(server, "\x81\x01a")
	<-h.messages
	tr.Pause()
	io.WriteString(server, "\x81\x01b")
	select {
	case got := <-h.messages:
		t.Errorf("%q came through", got)
	case <-time.After(20 * time.Millisecond):
	}
	if tr.in.next != nil {
		t.Error("bytes were taken from the system")
	}
	tr.Resume()
	if got := <-h.messages; got != "b" {
		t.Errorf("%q", got)
	}
}

func TestNothingIsLostByPauses(t *testing.T) {
	client, server := sockets(t, "tcp")
	tr := attached(t, client, nil)
	r := &gatherer{t: tr, done: make(chan struct{})}
	tr.Push(r)
	want := bytes.Repeat([]byte("0123456789"), 100<<10)
	go func() {
		server.Write(want)
		server.Close()
	}()
	for {
		tr.Pause()
		tr.Resume()
		select {
		case <-r.done:
			if !bytes.Equal(r.got, want) {
				t.Errorf("%d bytes came, %d were sent", len(r.got), len(want))
			}
			return
		default:
		}
	}
}

// gatherer is a Receiver that keeps everything.
type gatherer struct {
	t    *Conn
	got  []byte
	done chan struct{}
}

func (r *gatherer) Readable() error {
	for {
		view, err := r.t.View()
		if err == transport.ErrWouldBlock {
			return nil
		}
		if err != nil {
			return err
		}
		r.got = append(r.got, view...)
		r.t.Consume(len(view))
	}
}

func (r *gatherer) End(error) {}

func (r *gatherer) Finish() { close(r.done) }
