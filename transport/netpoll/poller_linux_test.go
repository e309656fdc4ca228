//go:build amd64 || arm64 || loong64

package netpoll

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/internal/socket"
)

// A busyPoll is a poller that is busy when an operator is freed, until done is closed.
type busyPoll struct {
	netpoll.Poll
	done chan struct{}
}

func (p *busyPoll) Free(operator *netpoll.FDOperator) {
	<-p.done
	p.Poll.Free(operator)
}

func TestDescriptorStaysOpenWhileThePollerMayUseIt(t *testing.T) {
	poll, err := nextPoller()
	if err != nil {
		t.Fatal(err)
	}
	busy := &busyPoll{poll, make(chan struct{})}
	client, server := netpair.Sockets(t, "tcp")
	d, err := socket.ReserveDescriptor()
	if err != nil {
		t.Fatal(err)
	}
	tr, err := (&reservation{busy, d}).attach(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	is := inode(tr.fd)
	tr.Close()
	if _, err := server.Read(make([]byte, 1)); err == nil {
		t.Error("the peer doesn't see the end")
	}
	if inode(tr.fd) != is {
		t.Fatal("the descriptor is closed while the poller may use it")
	}
	close(busy.done)
	waitUntil(t, "the descriptor is closed", func() bool { return inode(tr.fd) != is })
}

// inode identifies the open file of a descriptor; 0 if there is none.
func inode(fd int) uint64 {
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil {
		return 0
	}
	return stat.Ino
}

// A fullPoll can register no more descriptors once it is full.
type fullPoll struct {
	netpoll.Poll
	full atomic.Bool
}

func (p *fullPoll) Control(operator *netpoll.FDOperator, event netpoll.PollEvent) error {
	if p.full.Load() && event == netpoll.PollReadable {
		return syscall.ENOSPC
	}
	return p.Poll.Control(operator, event)
}

// After a pause, the system refuses to register the descriptor again.
func TestConnectionThatCannotBeRegisteredEnds(t *testing.T) {
	poll, err := nextPoller()
	if err != nil {
		t.Fatal(err)
	}
	full := &fullPoll{Poll: poll}
	client, server := netpair.Sockets(t, "tcp")
	d, err := socket.ReserveDescriptor()
	if err != nil {
		t.Fatal(err)
	}
	tr, err := (&reservation{full, d}).attach(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	paused, closed := make(chan struct{}, 1), make(chan error, 1)
	c := websock.NewConn(tr, websock.Client, websock.Options{Limits: websock.Limits{CloseTimeout: 20 * time.Millisecond}})
	c.SetHandler(websock.Messages(func(c *websock.Conn, _ websock.Opcode, msg []byte) {
		c.Pause()
		paused <- struct{}{}
	}, func(_ *websock.Conn, err error) { closed <- err }))
	io.WriteString(server, "\x82\x00")
	<-paused
	io.WriteString(server, "\x82\x00")
	waitUntil(t, "the registration ends", func() bool {
		tr.in.mu.Lock()
		defer tr.in.mu.Unlock()
		return tr.in.registration == nil
	})
	full.full.Store(true)
	c.Resume()
	select {
	case err := <-closed:
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the connection looks open")
	}
}
