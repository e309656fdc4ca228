package h3

import (
	"time"

	"github.com/seed004e8d11/websock/internal/liveness"
	"github.com/seed004e8d11/websock/internal/timing"
)

// clock keeps sessions alive.
var clock = timing.NewScheduler()

// ping is a frame of a reserved type, which its receiver ignores (RFC 9114 section 7.2.8). It makes QUIC send
// a packet, and the peer acknowledge it; quic-go has no other way to ask for that.
var ping = appendFrameHeader(nil, frameReserved, 0)

// KeepAlive makes a session a transport.StreamSession. Each packet is a sign of life.
func (s *session) KeepAlive(ping, timeout time.Duration, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == sessionClosing {
		return
	}
	if next := s.keepAlive.Ask(s.packetsReceived(), timing.Now(), ping, timeout, cause); next > 0 {
		clock.Add(next, (*keepAliveTask)(s))
	}
}

// packetsReceived returns how many packets have come from the peer.
func (s *session) packetsReceived() uint64 { return s.conn.ConnectionStats().PacketsReceived }

// A keepAliveTask is a session that is looked at.
type keepAliveTask session

// Run makes a keepAliveTask a timing.Task.
func (t *keepAliveTask) Run() (again time.Duration) {
	s := (*session)(t)
	action, again := s.look()
	switch action {
	case liveness.End:
		s.Close(s.keepAlive.Cause)
	case liveness.Ping:
		s.control.TryWriteAll(ping) // if there is no room for it, the peer owes an answer already
	}
	return again
}

// look says what a session asks for.
func (s *session) look() (a liveness.Action, again time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == sessionClosing {
		return liveness.Wait, 0
	}
	return s.keepAlive.Look(s.packetsReceived(), timing.Now())
}
