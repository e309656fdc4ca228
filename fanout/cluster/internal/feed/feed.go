// Package feed is a WebSocket server for tests of clusters. It knows who is connected for which key,
// and reports each key that two are connected for, or that is used with an old fencing token.
package feed

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// The headers of the opening handshake from which a Server learns who connects. The key is the request's
// path.
const (
	TokenHeader  = "X-Fence"
	MemberHeader = "X-Member"
)

// A Server listens on loopback until it is closed. Its methods may be called from any goroutine.
type Server struct {
	// Grace is how long the Server may learn of the end of a session after the next one for its key
	// has begun: the Server itself may be slow. It has to be set before the first connection.
	Grace time.Duration

	listener net.Listener
	http     http.Server

	mu         sync.Mutex
	keys       map[string]*keyState
	opened     []time.Time
	violations []string
	paused     map[string]bool // members that can't close their sessions
	closed     bool
}

// A keyState is what is known of a key.
type keyState struct {
	sessions []*Session
	token    uint64        // the highest so far
	downFrom time.Time     // since when it has no session; zero: it has one
	longest  time.Duration // that it has been without one, between two
}

// A Session is a connection for a key.
type Session struct {
	Key, Member string
	Token       uint64
	Conn        *websock.Conn
	server      *Server
}

// New starts a Server at an address of loopback; "127.0.0.1:0" for a free port.
func New(addr string) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{Grace: 2 * time.Second, listener: l, keys: map[string]*keyState{}, paused: map[string]bool{}}
	s.http.Handler = http.HandlerFunc(s.accept)
	go s.http.Serve(l)
	return s, nil
}

// URL returns the URL of a key's feed.
func (s *Server) URL(key string) string { return "ws://" + s.listener.Addr().String() + "/" + key }

// Close ends the Server and all sessions.
func (s *Server) Close() {
	s.http.Close()
	s.mu.Lock()
	s.closed = true
	var conns []*websock.Conn
	for _, k := range s.keys {
		for _, session := range k.sessions {
			conns = append(conns, session.Conn)
		}
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.Abort(net.ErrClosed)
	}
}

func (s *Server) accept(w http.ResponseWriter, r *http.Request) {
	session := &Session{Key: strings.TrimPrefix(r.URL.Path, "/"), Member: r.Header.Get(MemberHeader), server: s}
	session.Token, _ = strconv.ParseUint(r.Header.Get(TokenHeader), 10, 64)
	options := &websock.AcceptOptions{Transport: epoll.Transport()}
	c, err := websock.Accept(w, r, options)
	if err != nil {
		return
	}
	session.Conn = c
	if s.begin(session) {
		c.SetHandler(websock.Messages(session.onMessage, session.onClose)) // an error means that it has ended
	} else {
		c.Abort(net.ErrClosed)
	}
}

// begin records a session. It reports whether the Server is open.
func (s *Server) begin(session *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	k := s.keys[session.Key]
	if k == nil {
		k = &keyState{}
		s.keys[session.Key] = k
	}
	now := time.Now()
	s.opened = append(s.opened, now)
	switch {
	case session.Token != 0 && session.Token < k.token:
		s.violateLocked("key %s: %s connects with token %d after %d", session.Key, session.Member, session.Token, k.token)
	case len(k.sessions) > 0:
		time.AfterFunc(s.Grace, func() { s.checkAlone(session) })
	case !k.downFrom.IsZero():
		k.longest = max(k.longest, now.Sub(k.downFrom))
	}
	k.downFrom = time.Time{}
	k.token = max(k.token, session.Token)
	k.sessions = append(k.sessions, session)
	return true
}

// checkAlone reports sessions that began before this one and have not ended yet.
func (s *Server) checkAlone(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, older := range s.keys[session.Key].sessions {
		if older == session {
			return
		}
		if !s.paused[older.Member] {
			s.violateLocked("key %s: %s with token %d is connected beside %s with token %d",
				session.Key, older.Member, older.Token, session.Member, session.Token)
		}
	}
}

func (s *Session) onMessage(c *websock.Conn, op websock.Opcode, msg []byte) {
	s.server.mu.Lock()
	if newest := s.server.keys[s.Key].token; s.Token < newest {
		s.server.violateLocked("key %s: %s sends with token %d after %d", s.Key, s.Member, s.Token, newest)
	}
	s.server.mu.Unlock()
	c.SendFrame(op, true, msg) // an error means that it has ended
}

func (s *Session) onClose(*websock.Conn, error) {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	k := s.server.keys[s.Key]
	for i, other := range k.sessions {
		if other == s {
			k.sessions = append(k.sessions[:i:i], k.sessions[i+1:]...)
		}
	}
	if len(k.sessions) == 0 {
		k.downFrom = time.Now()
	}
}

func (s *Server) violateLocked(format string, args ...any) {
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

// SetPaused says that a member's process is stopped, or isn't any more. The sessions of one that is may
// stay beside those of others.
func (s *Server) SetPaused(member string, paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused[member] = paused
}

// Violations returns what must not have happened, but has.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.violations...)
}

// Connected returns how many keys have a session, and how many each member has.
func (s *Server) Connected() (keys int, byMember map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	byMember = map[string]int{}
	for _, k := range s.keys {
		if len(k.sessions) > 0 {
			keys++
		}
		for _, session := range k.sessions {
			byMember[session.Member]++
		}
	}
	return keys, byMember
}

// Opened returns when sessions were opened.
func (s *Server) Opened() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.opened...)
}

// LongestDown returns the longest time that a key was without a session, between two.
func (s *Server) LongestDown() (longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		longest = max(longest, k.longest)
	}
	return longest
}

// Broadcast sends a message to all sessions.
func (s *Server) Broadcast(op websock.Opcode, msg []byte) {
	s.Each(func(session *Session) { session.Conn.SendFrame(op, true, msg) })
}

// Each calls f with each session, without a lock held.
func (s *Server) Each(f func(*Session)) {
	s.mu.Lock()
	var all []*Session
	for _, k := range s.keys {
		all = append(all, k.sessions...)
	}
	s.mu.Unlock()
	for _, session := range all {
		f(session)
	}
}
