package tls

import (
	"container/list"
	"crypto/tls"
	"sync"
)

// maxSessions is how many sessions the process keeps. Each takes about 1 KiB beside the server's
// certificates, which crypto/tls shares between sessions.
const maxSessions = 512

// sessions holds the sessions that clients can resume instead of a full handshake (RFC 8446 section
// 2.2), if their config has no ClientSessionCache.
var sessions = sessionStore{m: map[sessionKey]*list.Element{}}

// mayResume reports whether connections with config may resume sessions of earlier connections. A
// resumed session has no certificate to verify, and keeps the client's earlier identity, so a
// config with callbacks for these can't use it.
func mayResume(config *tls.Config) bool {
	return config.ClientSessionCache == nil && !config.SessionTicketsDisabled &&
		config.VerifyPeerCertificate == nil && config.GetClientCertificate == nil
}

// A sessionCache is the tls.ClientSessionCache of all connections with one configKey. They can't
// resume sessions of other configs, which may have verified the server in other ways, or may stand
// for other clients.
type sessionCache struct{ config configKey }

func (c sessionCache) Get(name string) (*tls.ClientSessionState, bool) {
	return sessions.get(sessionKey{c.config, name})
}

func (c sessionCache) Put(name string, state *tls.ClientSessionState) {
	sessions.put(sessionKey{c.config, name}, state)
}

type sessionKey struct {
	config configKey
	name   string // from crypto/tls
}

// A sessionStore is an LRU cache of at most maxSessions sessions.
type sessionStore struct {
	mu  sync.Mutex
	m   map[sessionKey]*list.Element
	lru list.List // of session, the last used first
}

type session struct {
	key   sessionKey
	state *tls.ClientSessionState
}

func (s *sessionStore) get(key sessionKey) (*tls.ClientSessionState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.m[key]
	if e == nil {
		return nil, false
	}
	s.lru.MoveToFront(e)
	return e.Value.(session).state, true
}

// put stores a session, or removes the one with this key if state is nil.
func (s *sessionStore) put(key sessionKey, state *tls.ClientSessionState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.m[key]; e != nil {
		s.removeLocked(e)
	}
	if state == nil {
		return
	}
	s.m[key] = s.lru.PushFront(session{key, state})
	if s.lru.Len() > maxSessions {
		s.removeLocked(s.lru.Back())
	}
}

func (s *sessionStore) removeLocked(e *list.Element) {
	delete(s.m, s.lru.Remove(e).(session).key)
}
