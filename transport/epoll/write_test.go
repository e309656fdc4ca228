//go:build linux

package epoll

import (
	"bytes"
	"errors"
	"os"
	"testing"
)

func TestWritevKeepsTheOrderOfItsSlicesWhileThePeerReads(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		c, peer := attached(t, network)
		const slices, size = 4000, 1500
		var bufs [][]byte
		for n := range slices {
			bufs = append(bufs, numbered(n, size))
		}
		want := bytes.Join(bufs, nil)
		written := make(chan error, 1)
		go func() { written <- c.Writev(bufs...) }()
		readAll(t, peer, want)
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
}

func TestAWriteAfterTheDeadlineEndsAPushedConnection(t *testing.T) {
	c, peer := attached(t, "tcp")
	s := push(t, c)
	fill(t, c)
	c.locked(func() bool { c.writeDeadline = now() - 1; c.schedule(); return true })
	if err := c.Writev([]byte("late")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if err := s.end(t); !errors.Is(err, errStalled) {
		t.Errorf("the receiver is told %v", err)
	}
	peer.Close()
}
