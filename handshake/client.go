package handshake

import (
	"bytes"
	"context"
	"net"
	"time"

	"github.com/gobwas/ws"
	"github.com/seed004e8d11/websock/engine"
)

// A Result is what both sides have agreed on.
type Result struct {
	// Subprotocol agreed, or "".
	Subprotocol string

	// RawHeader holds the peer's header lines, each "Name: value\r\n", as they
	// came. The memory is the caller's.
	RawHeader []byte

	// Early holds the bytes that came after the handshake: they are the start of
	// the stream of frames. The memory is the caller's.
	Early []byte
}

// Client performs the opening handshake in the client role over conn (RFC 6455
// section 4.1). It ends when ctx does, and leaves conn without a deadline on
// success, and open in any case. r must have passed Check.
//
// The error is an *engine.HandshakeError: with Status, Header and the start of
// Body as far as there was an answer, and the cause in its chain.
func Client(ctx context.Context, conn net.Conn, r *Request) (*Result, error) {
	u, err := r.url()
	if err != nil {
		return nil, r.Check()
	}
	release := bindContext(ctx, conn)
	e := &exchange{conn: conn, maxSize: r.maxSize()}
	dialer := ws.Dialer{Protocols: r.Subprotocols, Host: r.Host, Header: ws.HandshakeHeaderHTTP(r.Header)}
	br, agreed, err := dialer.Upgrade(e, u)
	if br != nil {
		ws.PutReader(br)
	}
	if err != nil {
		err = e.failure(ctx, err)
		release()
		return nil, err
	}
	if !release() {
		return nil, &engine.HandshakeError{Reason: "interrupted", Err: ctx.Err()}
	}
	return &Result{
		Subprotocol: agreed.Protocol,
		RawHeader:   bytes.Clone(e.headerLines()),
		Early:       e.early(),
	}, nil
}

func (r *Request) maxSize() int {
	if r.MaxSize == 0 {
		return engine.DefaultHandshakeSize
	}
	return r.MaxSize
}

// bindContext makes conn's calls fail when ctx ends. release undoes that and
// reports whether ctx left conn alone.
func bindContext(ctx context.Context, conn net.Conn) (release func() bool) {
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	return func() bool {
		if !stop() {
			<-interrupted
			return false
		}
		conn.SetDeadline(time.Time{}) // if it fails, so will the next use
		return true
	}
}
