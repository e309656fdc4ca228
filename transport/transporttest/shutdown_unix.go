//go:build unix

package transporttest

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// Bytes that wait for the peer can't be sent any more, for a reason that makes no event: the system
// is short of memory, or, as here, another process has shut the socket down for writing.
func (s Suite) testASendErrorWithoutAnEventReachesTheHandler(t *testing.T) {
	client, _ := s.sockets(t, "tcp")
	other, err := socketOf(client).(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	c := s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 50 * time.Millisecond, WhenFull: websock.QueueWaits})
	h := newScript()
	setHandler(t, c, h)
	go func() {
		for c.SendBinary(make([]byte, 64<<10)) == nil {
		}
	}()
	for sent := uint64(0); sent == 0 || c.Stats().WireSent != sent; time.Sleep(20 * time.Millisecond) {
		sent = c.Stats().WireSent // until it waits
	}
	raw, err := other.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_WR) })
	if err := wait(t, "OnClose", h.closed); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("OnClose got %v", err)
	}
	if err := c.Err(); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Err is %v", err)
	}
}
