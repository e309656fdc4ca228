//go:build linux && race

package epoll

import (
	"testing"

	"github.com/seed004e8d11/websock/internal/readcount"
)

// Without the race detector, loops call recvfrom, which the system doesn't count.

func TestPushedMessageTakesOneRead(t *testing.T) {
	c, peer := attached(t, "tcp")
	s := &sink{c: c}
	s.begun = func() {
		if view, _ := c.View(); len(view) > 0 {
			c.Writev(view)
		}
	}
	if err := c.Push(s); err != nil {
		t.Fatal(err)
	}
	readcount.WantOneEach(t, peer, "Hello", 5, 2000)
}

func TestPulledMessageTakesOneRead(t *testing.T) {
	const messages = 2000
	c, peer := attached(t, "tcp")
	echoed := make(chan struct{})
	go func() {
		defer close(echoed)
		for range messages {
			view, _ := c.View()
			c.Writev(view)
			c.Consume(len(view))
		}
	}()
	readcount.WantOneEach(t, peer, "Hello", 5, messages)
	<-echoed
}
