package connect

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/std"
)

// dial opens a link, or returns nil and why it can't. The user has been told.
func (s *session) dial(ctx context.Context) (*link, ending) {
	config := s.Config
	config.Trace = new(websock.Trace)
	if s.Verbose {
		config.Trace = verboseTrace(s.Err)
		config.Transport = frameLogger{std.Transport(), s.Err}
	}
	reached := recordHandshakeStart(config.Trace)
	l := &link{session: s}
	config.KeepAlive.OnPong = func(_ *websock.Conn, payload []byte) { l.onPong(payload) }
	conn, err := websock.Dial(ctx, s.URL, &config)
	if err != nil {
		s.display.refused(err)
		return nil, ending{failedDial(ctx, err, *reached), err}
	}
	l.conn, l.opened = conn, time.Now()
	s.display.opened(conn, s.protocol())
	return l, ending{}
}

// closeMux closes the connection of a Mux after its WebSocket.
func closeMux(mux *websock.Mux) {
	const limit = time.Second // for what has been sent last
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	mux.Shutdown(ctx)
	mux.Close()
}

// The protocols below a WebSocket.
const (
	protocolHTTP1 = "HTTP/1.1"
	protocolHTTP2 = "HTTP/2"
)

// protocol returns the protocol below the WebSocket.
func (s *session) protocol() string {
	if s.Config.Mux == nil || slices.ContainsFunc(s.Config.Mux.Stats().Hosts, func(h websock.MuxHostStats) bool { return h.HTTP1 }) {
		return protocolHTTP1
	}
	return protocolHTTP2
}

// recordHandshakeStart makes the trace also record whether an opening handshake was started,
// which means that a server was reached.
func recordHandshakeStart(trace *websock.Trace) *bool {
	reached, next := new(bool), trace.HandshakeStart
	trace.HandshakeStart = func(host string) {
		*reached = true
		if next != nil {
			next(host)
		}
	}
	return reached
}

// failedDial distinguishes a server that declined from one that was not reached or did not
// answer.
func failedDial(ctx context.Context, err error, reached bool) Outcome {
	switch {
	case ctx.Err() != nil:
		return InterruptedByUser
	case (reached || hasSessionError(err)) && !isUnanswered(err):
		return Refused
	}
	return Unreachable
}

// hasSessionError reports whether a server was reached, but an HTTP/2 connection with it has ended before
// the opening handshake.
func hasSessionError(err error) bool {
	var ended *websock.SessionError
	return errors.As(err, &ended)
}

// isUnanswered reports whether a dial timed out before an answer, of a server or a proxy, said
// no.
func isUnanswered(err error) bool {
	var refusal *websock.HandshakeError
	if errors.As(err, &refusal) {
		answered := refusal.Status != 0 && refusal.Status != http.StatusSwitchingProtocols
		if answered || refusal.Proxy != "" {
			return false
		}
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}
