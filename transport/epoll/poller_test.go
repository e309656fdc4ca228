//go:build linux

package epoll

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestADeadlineThatHasPassedHidesNoEvents(t *testing.T) {
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
		events, parked := p.wait(now() - instant(time.Second))
		if len(events) != 1 || parked {
			t.Errorf("%d events, it parked: %v", len(events), parked)
		}
	}
}
