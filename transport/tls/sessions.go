package tls

import (
	"container/list"
	"crypto/tls"
	"sync"
)

// maxSessions is how many sessions are kept. Each takes about 1 KiB beside the certificates of
// its server, which crypto/tls shares between sessions.
const maxSessions = 512

// sessions are those of the process that can be resumed, in place of a whole TLS handshake
// (RFC 8446 section 2.2), by the clients whose config has no ClientSessionCache of its own.
var sessions = sessionStore{at: map[sessionKey]*list.Element{}}

// resumes reports whether connections of a config may resume sessions of its earlier ones. A
// resumed session brings no certificate to verify, and keeps the identity that the client had:
// whoever has functions for these is to be asked every time.
func resumes(config *tls.Config) bool {
	return config.ClientSessionCache == nil && !config.SessionTicketsDisabled &&
		config.VerifyPeerCertificate == nil && config.GetClientCertificate == nil
}

// A sessionCache is what the connections of one origin see of the sessions. What one config
// has verified, and as whom, says nothing about another.
type sessionCache struct{ origin origin }

func (c sessionCache) Get(name string) (*tls.ClientSessionState, bool) {
	return sessions.get(sessionKey{c.origin, name})
}

func (c sessionCache) Put(name string, state *tls.ClientSessionState) {
	sessions.put(sessionKey{c.origin, name}, state)
}

type sessionKey struct {
	origin origin
	name   string // given by crypto/tls
}

// A sessionStore keeps the sessions that were used last.
type sessionStore struct {
	mu   sync.Mutex
	at   map[sessionKey]*list.Element
	used list.List // of session, the last used first
}

type session struct {
	key   sessionKey
	state *tls.ClientSessionState
}

func (s *sessionStore) get(key sessionKey) (*tls.ClientSessionState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.at[key]
	if e == nil {
		return nil, false
	}
	s.used.MoveToFront(e)
	return e.Value.(session).state, true
}

// put keeps a session, or drops that of its key if state is nil.
func (s *sessionStore) put(key sessionKey, state *tls.ClientSessionState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.at[key]; e != nil {
		s.drop(e)
	}
	if state == nil {
		return
	}
	s.at[key] = s.used.PushFront(session{key, state})
	if s.used.Len() > maxSessions {
		s.drop(s.used.Back())
	}
}

func (s *sessionStore) drop(e *list.Element) {
	delete(s.at, s.used.Remove(e).(session).key)
}
