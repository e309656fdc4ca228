//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import "sync"

// A crew is goroutines that call Receivers. A Handler may take its time, so one that goes to
// call a Receiver sees to it that another looks after the connections that still wait; but as
// long as it finds some waiting it takes them, for its stack has grown and that of a new one
// hasn't. There it ends. So there are as many as Receivers are being called, and one more.
type crew struct {
	mu          sync.Mutex
	first, last *Conn // the connections that wait
	starting    bool  // a goroutine was started and has not looked yet
}

// callers call the Receivers of all connections.
var callers crew

// call has the Receiver of t called soon.
func (c *crew) call(t *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = t
	} else {
		c.last.behind = t
	}
	c.last = t
	c.start()
}

// start starts a goroutine for the connections that wait. The lock is held.
func (c *crew) start() {
	if c.first != nil && !c.starting {
		c.starting = true
		go callWaiting()
	}
}

func callWaiting() {
	for t := callers.take(true); t != nil; t = callers.take(false) {
		t.receive()
	}
}

// take returns a connection that waits, or nil. A goroutine says when it takes its first.
func (c *crew) take(first bool) *Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first {
		c.starting = false
	}
	t := c.first
	if t != nil {
		c.first, t.behind = t.behind, nil
		c.start()
	}
	return t
}
