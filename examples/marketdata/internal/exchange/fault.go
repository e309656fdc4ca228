package exchange

import (
	"time"

	"github.com/seed004e8d11/websock"
)

// A Fault is a way in which the exchange misbehaves.
type Fault uint8

// The faults. Each one concerns all connections.
const (
	None                Fault = iota
	DropUpdate                // an update is missing
	RepeatUpdate              // an update is sent twice
	WrongChecksum             // an update has a wrong checksum
	TornMessage               // an update ends in the middle
	HugeMessage               // an update is padded to 2 MiB
	Stall                     // nothing is sent any more, but the connection stays open and pings are answered
	Disconnect                // connections are lost without a close frame
	CloseRestart              // connections are closed with code 1012
	CloseOverloaded           // connections are closed with code 1013
	CloseMaintenance          // connections are closed with code 4001; for a minute, handshakes get status 503
	CloseBanned               // connections are closed with code 4003
	RefuseHandshakes          // connections are lost; for a minute, handshakes get status 429
	RefuseSubscriptions       // connections are lost; the next subscriptions are answered with an error
	Faults                    // the number of them
)

var names = [Faults]string{
	"none", "drop an update", "repeat an update", "wrong checksum", "torn message", "huge message", "stall", "disconnect",
	"close for restart", "close for overload", "close for maintenance", "close for a ban", "refuse handshakes",
	"refuse subscriptions",
}

// String returns what the exchange does.
func (f Fault) String() string { return names[f] }

// closures are the close frames that faults send.
var closures = map[Fault]struct {
	code   websock.CloseCode
	reason string
}{
	CloseRestart:     {websock.CloseServiceRestart, "restarting"},
	CloseOverloaded:  {websock.CloseTryAgainLater, "overloaded"},
	CloseMaintenance: {4001, "maintenance"},
	CloseBanned:      {4003, "banned"},
}

const (
	maintenance = time.Minute
	padding     = 2 << 20
)

// disconnectLocked does what a fault does to all connections.
func (e *Exchange) disconnectLocked(f Fault, now time.Time) {
	switch f {
	case CloseMaintenance:
		e.closedUntil, e.status = now.Add(maintenance), 503
	case RefuseHandshakes:
		e.closedUntil, e.status = now.Add(maintenance), 429
	case RefuseSubscriptions:
		e.refusing = len(e.books)
	}
	c, closes := closures[f]
	for s := range e.sessions {
		switch {
		case closes:
			s.doLocked(func() error { return s.conn.CloseWith(c.code, c.reason) })
		case f == Disconnect, f == RefuseHandshakes, f == RefuseSubscriptions:
			s.doLocked(func() error { s.conn.Abort(nil); return nil })
		case f == Stall:
			s.stalled = true
		}
	}
}

// sendFaultyLocked sends an update, or something else in its place.
func (s *session) sendFaultyLocked(f Fault, m *message) {
	switch f {
	case DropUpdate:
		return
	case WrongChecksum:
		m.Checksum++
	case HugeMessage:
		m.Padding = make([]byte, padding)
	}
	text := m.encode()
	if f == TornMessage {
		text = text[:len(text)/2]
	}
	s.sendLocked(text)
	if f == RepeatUpdate {
		s.sendLocked(text)
	}
}
