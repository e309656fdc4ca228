//go:build linux

package client

import (
	"context"
	"crypto/tls"
	"net/url"
	"sync"
)

// rawSecure is raw over crypto/tls, with a goroutine for each connection.
type rawSecure struct {
	*Work
	frames rawFrames
	mu     sync.Mutex
	conns  []*tls.Conn
}

func newRawSecure(w *Work) *rawSecure {
	return &rawSecure{Work: w, frames: newRawFrames(w.Payload)}
}

func (r *rawSecure) Dial(ctx context.Context) error {
	u, err := url.Parse(r.URL)
	if err != nil {
		return err
	}
	conn, err := (&tls.Dialer{Config: r.TLS}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	if err := rawHandshake(conn); err != nil {
		conn.Close()
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, conn.(*tls.Conn))
	return nil
}

func (r *rawSecure) Start() {
	for _, conn := range r.conns {
		go func() { r.Meter.Fail(r.work(conn)) }()
	}
}

func (r *rawSecure) work(conn *tls.Conn) error {
	if _, err := conn.Write(r.frames.some(r.Window)); err != nil {
		return err
	}
	in := make([]byte, 4<<10)
	for part := 0; ; {
		n, err := conn.Read(in)
		if err != nil {
			return err
		}
		var frames int
		if frames, part = r.frames.complete(part, n); frames == 0 {
			continue
		}
		r.Meter.Add(frames)
		if r.Window == 0 {
			continue
		}
		if _, err := conn.Write(r.frames.some(frames)); err != nil {
			return err
		}
	}
}
