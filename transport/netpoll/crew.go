//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import "sync"

// A crew is goroutines that call Receivers. For each connection that waits one is started,
// since a Handler may take its time; but as long as one finds connections waiting it takes
// them, for its stack has grown and that of a new one hasn't. There they end.
type crew struct {
	mu          sync.Mutex
	first, last *Conn // the connections that wait
	waiting     int
	starting    int // goroutines that were started and have not looked yet
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
	c.waiting++
	if c.starting < c.waiting {
		c.starting++
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
		c.starting--
	}
	t := c.first
	if t != nil {
		c.first, t.behind = t.behind, nil
		c.waiting--
	}
	return t
}
