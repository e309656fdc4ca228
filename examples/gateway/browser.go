package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// A browser is a connection, and what waits for it while it does not keep up.
type browser struct {
	conn     *websock.Conn
	patience time.Duration
	topics   int // guarded by the lock of the gateway

	mu     sync.Mutex
	behind map[string]*websock.PreparedMessage // the latest message of each topic; nil: it keeps up
}

// send sends a message of a topic. It never waits: while a browser does not keep up, only the latest
// message of each topic is kept for it. If the connection has ended, its handler is told of that.
func (b *browser) send(topic string, pm *websock.PreparedMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.behind == nil {
		if err := b.conn.TrySendPrepared(pm); !errors.Is(err, websock.ErrSendQueueFull) {
			return
		}
		b.behind = map[string]*websock.PreparedMessage{}
		go b.catchUp()
	}
	b.behind[topic] = pm
}

// catchUp sends what is kept until nothing is left. If the browser accepts nothing for too long, it closes the
// connection.
func (b *browser) catchUp() {
	for pm := b.next(); pm != nil; pm = b.next() {
		ctx, cancel := context.WithTimeout(context.Background(), b.patience)
		err := b.conn.SendContext(ctx, pm.Opcode(), pm.Payload())
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			b.conn.CloseWith(websock.CloseTryAgainLater, "too slow")
		}
		if err != nil {
			return
		}
	}
}

// next takes a message that is kept; nil: there is none, and the browser keeps up again.
func (b *browser) next() *websock.PreparedMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	for topic, pm := range b.behind {
		delete(b.behind, topic)
		return pm
	}
	b.behind = nil
	return nil
}
