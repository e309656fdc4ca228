//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/netpair"
)

func TestUnreadBytesAreLeftWithTheSystem(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		client, server := netpair.Sockets(t, network)
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
			t.Errorf("%d bytes arrived, %d were sent", got, total)
		}
	})
}

func TestPauseLeavesTheBytesWithTheSystem(t *testing.T) {
	client, server := netpair.Sockets(t, "tcp")
	tr := attached(t, client, nil)
	c := websock.NewConn(tr, websock.Client, websock.Options{})
	h := newCollector()
	c.SetHandler(h.handler())
	io.WriteString(server, "\x81\x01a")
	<-h.messages
	tr.Pause()
	io.WriteString(server, "\x81\x01b")
	select {
	case got := <-h.messages:
		t.Errorf("%q arrived", got)
	case <-time.After(20 * time.Millisecond):
	}
	if tr.in.received != nil {
		t.Error("bytes were taken from the system")
	}
	tr.Resume()
	if got := <-h.messages; got != "b" {
		t.Errorf("%q", got)
	}
}

func TestPausesLoseNothing(t *testing.T) {
	client, server := netpair.Sockets(t, "tcp")
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
				t.Errorf("%d bytes arrived, %d were sent", len(r.got), len(want))
			}
			return
		default:
		}
	}
}

func TestNewReadDeadlineEndsAViewUnderWay(t *testing.T) {
	client, _ := netpair.Sockets(t, "tcp")
	tr := attached(t, client, nil)
	tr.SetReadDeadline(time.Now().Add(time.Hour))
	viewed := make(chan error, 1)
	go func() {
		_, err := tr.View()
		viewed <- err
	}()
	time.Sleep(time.Millisecond)
	tr.SetReadDeadline(time.Now().Add(-time.Hour))
	if err := <-viewed; err != os.ErrDeadlineExceeded {
		t.Errorf("%v", err)
	}
}

func TestHangUpBeforeTheFirstReadLosesNothing(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		for range 50 {
			for _, pushed := range []bool{false, true} {
				client, server := netpair.Sockets(t, network)
				io.WriteString(server, "\x81\x04last")
				server.Close()
				c := websock.NewConn(attached(t, client, nil), websock.Client, websock.Options{})
				h := newCollector()
				if pushed {
					c.SetHandler(h.handler())
					if got := <-h.messages; got != "last" {
						t.Errorf("%q", got)
					}
					if err := <-h.closed; !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Errorf("%v", err)
					}
					continue
				}
				if _, msg, err := c.RecvMessage(nil); string(msg) != "last" || err != nil {
					t.Errorf("%q, %v", msg, err)
				}
				if _, _, err := c.RecvMessage(nil); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%v", err)
				}
			}
		}
	})
}

func TestViewStaysValidUntilItsLastByteIsConsumed(t *testing.T) {
	client, server := netpair.Sockets(t, "tcp")
	tr := attached(t, client, nil)
	io.WriteString(server, "first")
	view, err := tr.View()
	if err != nil {
		t.Fatal(err)
	}
	tr.Consume(2)
	view = view[2:]
	for range 10 { // what arrives meanwhile, and the end, don't change it
		server.Write(make([]byte, 100<<10))
		time.Sleep(time.Millisecond)
	}
	server.Close()
	tr.Close()
	if again, err := tr.View(); string(view) != "rst" || string(again) != "rst" || err != nil {
		t.Errorf("%q, then %q, %v", view, again, err)
	}
	tr.Consume(3)
	if _, err := tr.View(); err != net.ErrClosed {
		t.Errorf("%v", err)
	}
}

// netpoll itself would go on to read into as much memory as the largest burst took.
func TestBurstLeavesNoMemoryBehind(t *testing.T) {
	const conns, burst = 20, 2 << 20
	message := append(engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: websock.OpBinary, Length: burst}), make([]byte, burst)...)
	var received sync.WaitGroup
	handler := websock.Messages(func(*websock.Conn, websock.Opcode, []byte) { received.Done() }, nil)
	var peers []net.Conn
	for range conns {
		client, server := netpair.Sockets(t, "tcp")
		c := websock.NewConn(attached(t, client, nil), websock.Client, websock.Options{})
		c.SetHandler(handler)
		peers = append(peers, server)
	}
	ask := func(p []byte) {
		received.Add(conns)
		for _, peer := range peers {
			go peer.Write(p)
		}
		received.Wait()
	}
	ask([]byte("\x81\x05small"))
	before := inUse()
	ask(message)
	ask([]byte("\x81\x05small"))
	if after := inUse(); after > before+conns*100<<10 {
		t.Errorf("%d KiB a connection are left", (after-before)/conns>>10)
	}
}
