package websock

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"
	"weak"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport/h2"
)

// sessions are the sessions of an HTTP2Server, each with its http.Server.
type sessions struct {
	mu     sync.Mutex
	of     map[*h2.Session]*http.Server
	down   map[weak.Pointer[http.Server]]bool // Shutdown was called
	closes int                                // calls of close
}

// begin is called before a session is made. add gets its result.
func (l *sessions) begin() (closes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closes
}

// add adds a session. Shutdown may have been called since its connection was accepted, and close since
// begin.
func (l *sessions) add(session *h2.Session, s *http.Server, closes int) {
	l.mu.Lock()
	if l.of == nil {
		l.of = map[*h2.Session]*http.Server{}
	}
	l.of[session] = s
	down, closed := l.down[weak.Make(s)], l.closes != closes
	l.mu.Unlock()
	switch {
	case closed:
		session.Close(http2.ErrCodeNo, nil)
	case down:
		session.Shutdown()
	}
}

func (l *sessions) remove(session *h2.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, session)
}

// shutdown has the sessions of s end when their streams have ended.
func (l *sessions) shutdown(s *http.Server) {
	l.mu.Lock()
	if l.down == nil {
		l.down = map[weak.Pointer[http.Server]]bool{}
	}
	maps.DeleteFunc(l.down, func(s weak.Pointer[http.Server], _ bool) bool { return s.Value() == nil })
	l.down[weak.Make(s)] = true
	sessions := maps.Clone(l.of)
	l.mu.Unlock()
	for session, of := range sessions {
		if of == s {
			session.Shutdown()
		}
	}
}

// close ends all sessions, and those that are being made.
func (l *sessions) close() {
	l.mu.Lock()
	l.closes++
	sessions := maps.Clone(l.of)
	l.mu.Unlock()
	for session := range sessions {
		session.Close(http2.ErrCodeNo, nil)
	}
}

// Causes of the end of a session.
var (
	errNoSettings = errors.New("websock: the client has not begun to speak HTTP/2 in time")
	errIdle       = errors.New("websock: the connection was idle for http.Server.IdleTimeout")
	errPing       = errors.New("websock: the client has not answered a PING in time")
)

const (
	settingsTimeout = 10 * time.Second // for the client's preface and SETTINGS
	goAwayTimeout   = 5 * time.Second  // for the client to end an idle connection
	pingTimeout     = 15 * time.Second // unless HTTP2Config.PingTimeout says otherwise
)

// A sessionWatch waits for the end of a session. It calls the ConnState of the http.Server, and ends a
// session that is idle for too long.
type sessionWatch struct {
	conn    net.Conn
	server  *http.Server
	changes chan struct{} // has an element if something may have changed
	state   http.ConnState
}

// changed is h2.Config.Changed.
func (w *sessionWatch) changed(*h2.Session) {
	select {
	case w.changes <- struct{}{}:
	default:
	}
}

// wait returns when the session has ended, with the reason. Then net/http closes the connection, so the
// last frames must have been delivered, or the transport must see to that by itself.
func (w *sessionWatch) wait(session *h2.Session) error {
	w.awaitSettings(session)
	w.keepAlive(session)
	w.watch(session)
	<-session.Done()
	return session.Err()
}

// watch returns when the session has ended.
func (w *sessionWatch) watch(session *h2.Session) {
	idle := time.NewTimer(time.Hour)
	idle.Stop()
	defer idle.Stop()
	for session.Err() == nil {
		switch isIdle := session.Streams() == 0; {
		case w.state == http.StateNew: // each connection becomes active, as with net/http
			w.setState(http.StateActive)
			continue
		case !isIdle && w.state == http.StateIdle:
			idle.Stop()
			w.setState(http.StateActive)
		case isIdle && w.state == http.StateActive:
			if t := w.idleTimeout(); t > 0 {
				idle.Reset(t)
			}
			w.setState(http.StateIdle)
		}
		select {
		case <-w.changes:
		case <-idle.C:
			w.endIdle(session)
		}
	}
}

// awaitSettings waits until the client has begun to speak.
func (w *sessionWatch) awaitSettings(session *h2.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), settingsTimeout)
	defer cancel()
	session.Settings(ctx)
	if ctx.Err() != nil {
		session.Close(http2.ErrCodeProtocol, errNoSettings)
	}
}

// keepAlive has the session send PING frames as the http.Server says.
func (w *sessionWatch) keepAlive(session *h2.Session) {
	settings := w.server.HTTP2
	if settings == nil || settings.SendPingTimeout <= 0 {
		return
	}
	timeout := pingTimeout
	if settings.PingTimeout > 0 {
		timeout = settings.PingTimeout
	}
	session.KeepAlive(settings.SendPingTimeout, settings.SendPingTimeout+timeout, errPing)
}

// idleTimeout returns how long a connection may be without streams. 0 and less: for ever.
func (w *sessionWatch) idleTimeout() time.Duration {
	if w.server.IdleTimeout != 0 {
		return w.server.IdleTimeout
	}
	return w.server.ReadTimeout
}

// endIdle ends a session that is idle. The client may open a stream at the same time, which is served.
func (w *sessionWatch) endIdle(session *h2.Session) {
	session.Shutdown()
	late := time.NewTimer(goAwayTimeout)
	defer late.Stop()
	for session.Err() == nil && session.Streams() == 0 {
		select {
		case <-w.changes:
		case <-late.C:
			session.Close(http2.ErrCodeNo, errIdle)
		}
	}
}

func (w *sessionWatch) setState(state http.ConnState) {
	w.state = state
	if w.server.ConnState != nil {
		w.server.ConnState(w.conn, state)
	}
}
