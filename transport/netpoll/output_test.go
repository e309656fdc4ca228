//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
)

// more than the system takes for a peer that doesn't read.
const plenty = 16 << 20

// stuff sends until something is queued for a peer that doesn't read.
func stuff(t *testing.T, tr *Conn) {
	t.Helper()
	for tr.Queued() == 0 {
		if err := tr.Writev(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFlushBlockingOnASlowPeerDoesNotReachWritev(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		client, server := sockets(t, network)
		tr := attached(t, client, nil)
		want := make([]byte, plenty)
		for i := range want {
			want[i] = byte(i * 7 >> 3)
		}
		begun := time.Now()
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 1<<20)
			if err := tr.Writev(rest[:n/2], rest[n/2:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		if tr.Queued() == 0 {
			t.Error("nothing is queued")
		}
		got := make([]byte, plenty)
		if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the peer got something else: %v", err)
		}
		if err := tr.Drain(context.Background(), 0); err != nil || tr.Queued() != 0 {
			t.Errorf("%v, %d queued", err, tr.Queued())
		}
		if err := tr.Writev([]byte("after")); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(server, got[:5]); string(got[:5]) != "after" || err != nil {
			t.Errorf("%q, %v", got[:5], err)
		}
	})
}

func TestDrainWaitsForNoMoreThanAsked(t *testing.T) {
	client, server := sockets(t, "tcp")
	tr := attached(t, client, nil)
	stuff(t, tr)
	tr.Writev(make([]byte, plenty))
	drained := make(chan error, 1)
	go func() { drained <- tr.Drain(context.Background(), 1<<20) }()
	select {
	case err := <-drained:
		t.Fatalf("returned before the peer read: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	go io.Copy(io.Discard, server)
	if err := <-drained; err != nil || tr.Queued() > 1<<20 {
		t.Errorf("%v, %d queued", err, tr.Queued())
	}
}

func TestTheWriteDeadlineIsFatal(t *testing.T) {
	late := map[string]func(tr *Conn) error{
		"while queued": func(tr *Conn) error {
			tr.Writev(make([]byte, plenty))
			tr.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			return tr.Drain(context.Background(), 0)
		},
		"before queued": func(tr *Conn) error {
			tr.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			tr.Writev(make([]byte, plenty))
			return tr.Drain(context.Background(), 0)
		},
		"before the write": func(tr *Conn) error {
			tr.SetWriteDeadline(time.Now())
			return tr.Writev([]byte("x"))
		},
	}
	for when, send := range late {
		t.Run(when, func(t *testing.T) {
			client, server := sockets(t, "tcp")
			tr := attached(t, client, nil)
			if err := send(tr); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
			tr.SetWriteDeadline(time.Time{})
			if err := tr.Writev([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("afterwards: %v", err)
			}
			io.WriteString(server, "still received")
			view, err := tr.View()
			if failed := (*transport.SendError)(nil); errors.As(err, &failed) { // where it was queued
				view, err = tr.View()
			}
			if string(view) != "still received" || err != nil {
				t.Errorf("receiving: %q, %v", view, err)
			}
			if n := tr.Queued(); n != 0 {
				t.Errorf("%d queued", n)
			}
		})
	}
}

func TestSendDeadlineIsFatal(t *testing.T) {
	client, _ := sockets(t, "tcp")
	c := engine.NewConn(attached(t, client, nil), engine.Options{Role: engine.Client, Limits: engine.Limits{CloseTimeout: 50 * time.Millisecond}})
	c.SetSendDeadline(time.Now().Add(20 * time.Millisecond))
	c.SendBinary(make([]byte, plenty))
	if _, _, err := c.RecvMessage(nil); err == nil {
		t.Error("receiving goes on")
	}
	c.SetSendDeadline(time.Time{})
	if err := c.SendText(nil); err == nil {
		t.Error("sending goes on")
	}
}

func TestMallocAfterCloseDoesNotReachASender(t *testing.T) {
	for _, size := range []int{10, 1 << 20} {
		for range 20 {
			client, server := sockets(t, "tcp")
			tr := attached(t, client, nil)
			var senders sync.WaitGroup
			senders.Go(func() {
				for tr.Writev(make([]byte, size), make([]byte, size)) == nil {
				}
			})
			senders.Go(func() { io.CopyN(io.Discard, server, 3<<20) })
			tr.Close()
			server.Close()
			senders.Wait()
			if err := tr.Writev([]byte("x")); err != net.ErrClosed && !errors.Is(err, errEnded) {
				t.Errorf("%v", err)
			}
		}
	}
}

func TestCloseWriteEndsTheStreamBehindWhatIsQueued(t *testing.T) {
	for _, queued := range []bool{false, true} {
		client, server := sockets(t, "tcp")
		tr := attached(t, client, nil)
		size := 5
		if queued {
			size = plenty
		}
		tr.Writev(make([]byte, size))
		if err := tr.CloseWrite(); err != nil {
			t.Error(err)
		}
		if err := tr.Writev([]byte("x")); err == nil {
			t.Error("sending goes on")
		}
		if n, err := io.Copy(io.Discard, server); n != int64(size) || err != nil {
			t.Errorf("the peer got %d of %d bytes, %v", n, size, err)
		}
		server.Write([]byte("back"))
		if view, err := tr.View(); string(view) != "back" || err != nil {
			t.Errorf("%q, %v", view, err)
		}
	}
}

func TestLingerWaitsForTheQueueAndThePeer(t *testing.T) {
	for _, pushed := range []bool{false, true} {
		client, server := sockets(t, "tcp")
		tr := attached(t, client, nil)
		if pushed {
			tr.Push(idle{})
		}
		tr.Writev(make([]byte, plenty))
		lingered := make(chan error, 1)
		go func() { lingered <- tr.Linger(20 * time.Second) }()
		if pushed {
			<-lingered
		}
		server.(*net.TCPConn).CloseWrite()
		time.Sleep(5 * time.Millisecond)
		if n, err := io.Copy(io.Discard, server); n != plenty || err != nil {
			t.Errorf("pushed %v: the peer got %d bytes, %v", pushed, n, err)
		}
		if !pushed {
			if err := <-lingered; err != nil {
				t.Error(err)
			}
		}
	}
}

func TestLingerGivesUp(t *testing.T) {
	for _, pushed := range []bool{false, true} {
		client, server := sockets(t, "tcp")
		tr := attached(t, client, nil)
		if pushed {
			tr.Push(idle{})
		}
		err := tr.Linger(10 * time.Millisecond)
		if !pushed && err != os.ErrDeadlineExceeded {
			t.Errorf("%v", err)
		}
		if _, err := server.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("pushed %v: the peer got %v", pushed, err)
		}
	}
}

func TestLingerEndsAViewUnderWay(t *testing.T) {
	client, server := sockets(t, "tcp")
	tr := attached(t, client, nil)
	viewed := make(chan error, 1)
	go func() {
		_, err := tr.View()
		viewed <- err
	}()
	time.Sleep(5 * time.Millisecond)
	go tr.Linger(20 * time.Second)
	if err := <-viewed; err != net.ErrClosed {
		t.Errorf("%v", err)
	}
	server.Close()
}

// idle is a Receiver that takes nothing.
type idle struct{}

func (idle) Readable() error { return nil }
func (idle) End(error)       {}
func (idle) Finish()         {}
