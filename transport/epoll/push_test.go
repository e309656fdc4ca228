//go:build linux

package epoll

import (
	"testing"
	"time"
)

func TestResumeBeforePushDoesNothing(t *testing.T) {
	c, peer := attached(t, "tcp")
	c.Pause()
	c.Resume()
	time.Sleep(20 * time.Millisecond)
	s := push(t, c)
	peer.Write([]byte("Hello"))
	until(t, "bytes come", func() bool { return s.got() == "Hello" })
}
