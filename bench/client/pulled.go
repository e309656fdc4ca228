//go:build linux

package client

import (
	"context"
	"sync"
)

// A link is a connection of a library with a blocking receive call.
type link interface {
	Send(p []byte) error
	Receive() (n int, err error) // receives a whole message and returns its length
}

// pulled has a goroutine for each link, which receives and sends.
type pulled struct {
	*Work
	dial  func(ctx context.Context, w *Work) (link, error)
	mu    sync.Mutex
	links []link
}

func (c *pulled) Dial(ctx context.Context) error {
	l, err := c.dial(ctx, c.Work)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links = append(c.links, l)
	return nil
}

func (c *pulled) Start() {
	for _, l := range c.links {
		go func() { c.Meter.Fail(c.work(l)) }()
	}
}

func (c *pulled) work(l link) error {
	for range c.Window {
		if err := l.Send(c.next()); err != nil {
			return err
		}
	}
	for {
		n, err := l.Receive()
		if err != nil {
			return err
		}
		if c.received(n) {
			if err := l.Send(c.next()); err != nil {
				return err
			}
		}
	}
}
