//go:build linux

package epoll

import (
	"errors"
	"math"
	"net"
	"testing"
	"time"
)

func TestPushWhileLingeringIsToldTheEnd(t *testing.T) {
	c, peer := attached(t, "tcp")
	lingered := make(chan error, 1)
	go func() { lingered <- c.Linger(10 * time.Second) }()
	until(t, "it lingers", func() bool { return c.is(lingering) })
	s := push(t, c)
	peer.Close()
	if err := <-lingered; err != nil {
		t.Errorf("Linger: %v", err)
	}
	if err := s.end(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the receiver is told %v", err)
	}
}

func TestLingerForEver(t *testing.T) {
	c, peer := attached(t, "tcp")
	lingered := make(chan error, 1)
	go func() { lingered <- c.Linger(math.MaxInt64) }()
	select {
	case err := <-lingered:
		t.Fatalf("it returned %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	peer.Close()
	if err := <-lingered; err != nil {
		t.Error(err)
	}
}
