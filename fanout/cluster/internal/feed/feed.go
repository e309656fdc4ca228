// Package feed is a WebSocket server for tests of clusters. It knows who is connected for which key,
// and reports each key that two are connected for, or that is used with an old fencing token.
package feed

import (
	"fmt"
	"net"
	"net/http"
	"slices"
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
	BegunHeader  = "X-Begun" // optional: when the attempt began, in nanoseconds since 1970
)

// A Server listens on loopback until it is closed. Its methods may be called from any goroutine.
type Server struct {
	// Grace is how long the Server may learn of the end of a session after the next one for its key
	// has begun: the Server itself may be slow. If its process is stopped meanwhile, that hardly counts. It has
	// to be set before the first connection.
	Grace time.Duration

	// KeepAlive is that of the sessions. It has to be set before the first connection.
	KeepAlive websock.KeepAlive

	listener net.Listener
	http     http.Server

	mu         sync.Mutex
	keys       map[string]*keyState
	history    []*Session // all that there have been
	begun      []time.Time
	overlap    time.Duration // the longest
	received   int           // messages
	violations []string
	excused    map[string]excuse // members
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
	Record
	Conn   *websock.Conn
	server *Server
}

// A Record is what is known of a session, also after its end.
type Record struct {
	ID           int // counts sessions
	Key, Member  string
	Token        uint64
	Sent         int       // messages of SendNumbers
	Began, Ended time.Time // the second one is zero: it has not
}

// New starts a Server at an address; "127.0.0.1:0" for a free port of loopback.
func New(addr string) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{Grace: 2 * time.Second, listener: l, keys: map[string]*keyState{}, excused: map[string]excuse{}}
	s.http.Handler = http.HandlerFunc(s.accept)
	go s.http.Serve(l)
	return s, nil
}

// Addr returns the address at which the Server listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

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
	session := &Session{server: s}
	session.Key, session.Member = strings.TrimPrefix(r.URL.Path, "/"), r.Header.Get(MemberHeader)
	begun := time.Now()
	if n, err := strconv.ParseInt(r.Header.Get(BegunHeader), 10, 64); err == nil {
		begun = time.Unix(0, n)
	}
	session.Token, _ = strconv.ParseUint(r.Header.Get(TokenHeader), 10, 64)
	options := &websock.AcceptOptions{Transport: epoll.Transport(), KeepAlive: s.KeepAlive}
	c, err := websock.Accept(w, r, options)
	if err != nil {
		return
	}
	session.Conn = c
	if !s.begin(session, begun) {
		c.Abort(net.ErrClosed)
		return
	}
	if err := c.SetHandler(websock.Messages(session.onMessage, session.onClose)); err != nil { // it has ended
		c.Abort(err)
		session.onClose(c, err)
	}
}

// begin records a session, whose attempt has begun at a time. It reports whether the Server is open.
func (s *Server) begin(session *Session, begun time.Time) bool {
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
	s.begun = append(s.begun, begun)
	s.history = append(s.history, session)
	session.ID, session.Began = len(s.history), now
	switch {
	case session.Token < k.token && s.excused[session.Member] != adrift:
		// An attempt that was aborted may still arrive, if the Server is slow: it has to end by itself.
		newest := k.token
		s.afterGrace(func() { s.checkEnded(session, newest) })
	case len(k.sessions) > 0:
		s.afterGrace(func() { s.checkAlone(session) })
	case !k.downFrom.IsZero():
		k.longest = max(k.longest, now.Sub(k.downFrom))
	}
	k.downFrom = time.Time{}
	k.token = max(k.token, session.Token)
	k.sessions = append(k.sessions, session)
	return true
}

// afterGrace calls check after Grace. It waits in short steps, since a time in which nothing of the process
// runs may end the step that is under way, but no other.
func (s *Server) afterGrace(check func()) {
	const steps = 20
	step := 0
	var wait func()
	wait = func() {
		if step++; step > steps {
			check()
			return
		}
		time.AfterFunc(s.Grace/steps, wait)
	}
	wait()
}

// checkEnded reports a session that began with an old token and has not ended yet.
func (s *Server) checkEnded(session *Session, newest uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.keys[session.Key].sessions, session) {
		s.violateLocked("key %s: %s connects with token %d after %d", session.Key, session.Member, session.Token, newest)
	}
}

// checkAlone reports sessions that began before this one and have not ended yet.
func (s *Server) checkAlone(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.keys[session.Key].sessions
	for _, older := range all[:max(0, slices.Index(all, session))] {
		if s.excused[older.Member] == "" && s.excused[session.Member] == "" {
			s.violateLocked("key %s: %s with token %d is connected beside %s with token %d",
				session.Key, older.Member, older.Token, session.Member, session.Token)
		}
	}
}

func (s *Session) onMessage(*websock.Conn, websock.Opcode, []byte) {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.received++
	if newest := s.server.keys[s.Key].token; s.Token < newest {
		s.server.violateLocked("key %s: %s sends with token %d after %d", s.Key, s.Member, s.Token, newest)
	}
}

func (s *Session) onClose(*websock.Conn, error) {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	k := s.server.keys[s.Key]
	s.Ended = time.Now()
	k.sessions = slices.DeleteFunc(slices.Clone(k.sessions), func(other *Session) bool { return other == s })
	for _, other := range k.sessions {
		if s.server.excused[s.Member] == "" && s.server.excused[other.Member] == "" {
			both := min(s.Ended.Sub(other.Began), s.Ended.Sub(s.Began))
			s.server.overlap = max(s.server.overlap, both)
		}
	}
	if len(k.sessions) == 0 {
		k.downFrom = s.Ended
	}
}

func (s *Server) violateLocked(format string, args ...any) {
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

// SetPaused says that a member's process is stopped, or isn't any more. The sessions of one that is may
// stay beside those of others.
func (s *Server) SetPaused(member string, is bool) { s.excuse(member, paused, is) }

// SetAdrift says that a member is cut off from NATS and keeps its connections, or isn't any more. Its
// sessions may stay beside those of others, and it may open new ones with an old token.
func (s *Server) SetAdrift(member string, is bool) { s.excuse(member, adrift, is) }

// An excuse is why a member may do what it otherwise must not.
type excuse string

const (
	paused excuse = "paused"
	adrift excuse = "adrift"
)

func (s *Server) excuse(member string, why excuse, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if is {
		s.excused[member] = why
	} else {
		delete(s.excused, member)
	}
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

// Received returns how many messages have come.
func (s *Server) Received() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received
}

// Opened returns for each session when its attempt began, by the clock of who has made it: the Server
// itself may be slow.
func (s *Server) Opened() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.begun...)
}

// Reset forgets what Opened returns, and how long keys were without one or had two.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun, s.overlap = nil, 0
	for _, k := range s.keys {
		k.longest = 0
	}
}

// LongestOverlap returns the longest time for which two sessions of a key were open, as the Server has
// seen them, without those of paused members.
func (s *Server) LongestOverlap() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overlap
}

// History returns the records of all sessions, in the order in which they began.
func (s *Server) History() (records []Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.history {
		records = append(records, session.Record)
	}
	return records
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

// SendNumbers sends each session the session's ID and the number of the message in the session, from 1:
// "7.1". One goroutine at a time may call it.
func (s *Server) SendNumbers() {
	s.Each(func(session *Session) {
		s.mu.Lock()
		session.Sent++
		text := fmt.Sprintf("%d.%d", session.ID, session.Sent)
		s.mu.Unlock()
		session.Conn.SendFrame(websock.OpText, true, []byte(text)) // an error means that it has ended
	})
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
