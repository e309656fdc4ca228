package connect

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

// dialsAgain reports whether the session goes on after a link, or an attempt to open one, has ended.
func (s *session) dialsAgain(end ending) bool {
	return s.Reconnect && !s.over.Load() && end.err != nil && !isPermanent(end.err)
}

// isPermanent reports whether another attempt would fail in the same way: as fanout.Permanent does,
// and when the server has answered that the request is wrong.
func isPermanent(err error) bool {
	var refusal *websock.HandshakeError
	if fanout.Permanent(err) {
		return true
	}
	if !errors.As(err, &refusal) {
		return false
	}
	switch refusal.Status {
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return refusal.Status >= 300 && refusal.Status < 500
}

// A failureRow counts failures to find out how long to wait.
type failureRow struct {
	backoff  fanout.Backoff
	failures int
}

// delay returns how long to wait after an ending. l is the link that has ended, or nil.
func (r *failureRow) delay(l *link, end ending) time.Duration {
	if l != nil && r.backoff.Resets(end.err, l.conn.Stats().FramesReceived, time.Since(l.opened)) {
		r.failures = 0
	}
	r.failures++
	return r.backoff.Delay(r.failures, end.err)
}

// redial opens another link after a delay. Lines that are typed meanwhile are refused, those of a
// pipe wait. goOn is false if the user has given up.
func (s *session) redial(ctx context.Context, delay time.Duration) (l *link, end ending, goOn bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialed := make(chan struct{})
	go func() {
		defer close(dialed)
		if wait(ctx, delay) {
			l, end = s.dial(ctx)
		}
	}()
	var typed <-chan input
	if s.typed {
		typed = s.inputs
	}
	for {
		select {
		case <-dialed:
			return l, end, ctx.Err() == nil
		case in := <-typed:
			if s.handleOffline(in) {
				continue
			}
			cancel()
			if <-dialed; l != nil {
				l.close(s.Close)
			}
			return nil, end, false
		}
	}
}

var errOffline = errors.New("there is no connection at the moment")

// handleOffline handles an input while there is no connection. It reports whether the session goes on.
func (s *session) handleOffline(in input) bool {
	if in.err != nil {
		if !errors.Is(in.err, io.EOF) {
			s.refuse(in.err)
		}
		return false
	}
	if name, arg, ok := cutCommand(in.line); ok && s.takesCommands() {
		switch name {
		case "help":
			s.showHelp()
			return true
		case "close":
			_, err := s.parseClose(arg)
			if err != nil {
				s.refuse(err)
			}
			return err != nil
		}
	}
	s.refuse(errOffline)
	return true
}

// wait reports whether a time has passed before the end of ctx.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
