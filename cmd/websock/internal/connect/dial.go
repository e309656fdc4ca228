package connect

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/record"
	"github.com/seed004e8d11/websock/transport/std"
)

// dial opens a link, or returns nil and why it can't, which the user has been told.
func (s *session) dial(ctx context.Context) (*link, ending) {
	config := s.Config
	if s.Verbose {
		config.Trace = verboseTrace(s.Err)
		config.Transport = frameLogger{std.Transport(), s.Err}
	}
	l := &link{session: s}
	config.KeepAlive.OnPong = func(_ *websock.Conn, payload []byte) { l.onPong(payload) }
	if s.Record != nil {
		config.KeepAlive.OnPing = func(_ *websock.Conn, payload []byte) { s.Record.Message(websock.Server, websock.OpPing, payload) }
	}
	conn, outcome, err := Dial(ctx, s.URL, config)
	if err != nil {
		s.display.refused(err)
		return nil, ending{outcome, err}
	}
	l.conn, l.opened = conn, time.Now()
	s.Record.Begin(record.Header{URL: s.RecordURL, QueryHidden: s.RecordURL != s.URL, Subprotocol: conn.Subprotocol()})
	return l, ending{}
}

// Dial opens a connection. With an error, the Outcome is what that means. config.Trace is changed.
func Dial(ctx context.Context, url string, config websock.Config) (*websock.Conn, Outcome, error) {
	if config.Trace == nil {
		config.Trace = new(websock.Trace)
	}
	reached := recordHandshakeStart(config.Trace)
	conn, err := websock.Dial(ctx, url, &config)
	if err != nil {
		return nil, failedDial(ctx, err, *reached), err
	}
	return conn, 0, nil
}

// CloseMux closes the connection of a Mux after its WebSocket.
func CloseMux(mux *websock.Mux) {
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
