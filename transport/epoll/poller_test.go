//go:build linux

package epoll

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/internal/timing"
)

func TestPassedDeadlineHidesNoEvents(t *testing.T) {
	p, err := newPoller(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := p.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		events, parked := p.wait(timing.Now() - timing.Instant(time.Second))
		if len(events) != 1 || parked {
			t.Errorf("%d events, it parked: %v", len(events), parked)
		}
	}
}

// The system refuses to watch another descriptor, as when fs.epoll.max_user_watches is reached.
func TestConnectionThatEpollRefusesEnds(t *testing.T) {
	closed := make(chan error, 1)
	heard := make(chan struct{}, 10)
	handler := websock.Messages(func(c *websock.Conn, _ websock.Opcode, msg []byte) {
		if string(msg) == "pause" {
			c.Pause()
		}
		heard <- struct{}{}
	}, func(_ *websock.Conn, err error) { closed <- err })
	ends := map[string]func(c *websock.Conn, carrier *Conn, peer io.Writer, refuse func()) error{
		"when a Handler is set": func(c *websock.Conn, _ *Conn, _ io.Writer, refuse func()) error {
			refuse()
			c.SetHandler(handler)
			return <-closed
		},
		"when a pause ends": func(c *websock.Conn, carrier *Conn, peer io.Writer, refuse func()) error {
			c.SetHandler(handler)
			io.WriteString(peer, "\x82\x05pause")
			<-heard
			io.WriteString(peer, "\x82\x05later")
			waitUntil(t, "the loop doesn't watch it", func() bool { return carrier.armedFor() == noEvents })
			refuse()
			c.Resume()
			return <-closed
		},
		"when a receive waits": func(c *websock.Conn, _ *Conn, _ io.Writer, refuse func()) error {
			refuse()
			_, _, err := c.RecvMessage(nil)
			return err
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			var refuses atomic.Bool
			g := &loopGroup{size: 1, ctl: func(epfd, op, fd int, event *unix.EpollEvent) error {
				if op == unix.EPOLL_CTL_ADD && refuses.Load() {
					return syscall.ENOSPC
				}
				return unix.EpollCtl(epfd, op, fd, event)
			}}
			client, peer := netpair.Sockets(t, "tcp")
			carrier, err := Factory{g}.Attach(client, nil)
			if err != nil {
				t.Fatal(err)
			}
			c := websock.NewConn(carrier, websock.Client, websock.Options{Limits: websock.Limits{CloseTimeout: 20 * time.Millisecond}})
			t.Cleanup(func() { c.Abort(nil) })
			ended := make(chan error, 1)
			go func() { ended <- end(c, carrier.(*Conn), peer, func() { refuses.Store(true) }) }()
			select {
			case err := <-ended:
				if !errors.Is(err, syscall.ENOSPC) || !errors.Is(c.Err(), syscall.ENOSPC) {
					t.Errorf("%v, then %v", err, c.Err())
				}
			case <-time.After(time.Minute):
				t.Fatal("the connection looks open")
			}
		})
	}
}
