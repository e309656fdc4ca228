package keepalive

import (
	"errors"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// A fakeConn is a Conn whose answers the test sets.
type fakeConn struct {
	received uint64
	pauses   uint64
	taken    int64
	waiting  int
	paused   bool
	blocks   bool
	refuses  bool          // heartbeats can't be sent
	release  chan struct{} // unless it is nil, a heartbeat waits for it
	sent     chan string
}

func newFakeConn() *fakeConn { return &fakeConn{sent: make(chan string, 1000)} }

func (c *fakeConn) Received() (uint64, uint64) { return c.received, c.pauses }
func (c *fakeConn) Outgoing() (int64, int)     { return c.taken, c.waiting }
func (c *fakeConn) Paused() bool               { return c.paused }
func (c *fakeConn) WritesBlock() bool          { return c.blocks }

func (c *fakeConn) SendHeartbeat(op engine.Opcode, payload []byte) (asked bool) {
	if c.release != nil {
		<-c.release
	}
	if c.refuses {
		return false
	}
	c.sent <- op.String() + " " + string(payload)
	return true
}

// watch visits c at the times that the Monitor asks for, until it reports that the peer is dead or the
// time is over. before is called before each visit.
func watch(c *fakeConn, p *Policy, total time.Duration, before func(now time.Duration)) (deadAt time.Duration, dead bool) {
	var m Monitor
	now := time.Duration(0)
	next := m.Start(c, p, now, p.Ping)
	for next > 0 && now+next <= total {
		now += next
		if before != nil {
			before(now)
		}
		if next = m.Visit(c, p, now); next == 0 {
			return now, true
		}
	}
	return 0, false
}

func TestASilentPeerIsPingedOnceAndThenDead(t *testing.T) {
	for _, regular := range []bool{false, true} {
		c := newFakeConn()
		p := &Policy{Ping: 8 * time.Second, Timeout: 20 * time.Second, Regular: regular, Opcode: engine.OpPing}
		at, dead := watch(c, p, time.Hour, nil)
		want := 20 * time.Second // after the start
		if regular {
			want = 28 * time.Second // after the first ping
		}
		if !dead || at < want || at > want+2*time.Second {
			t.Errorf("regular %v: dead %v after %v, want %v", regular, dead, at, want)
		}
		if n := len(c.sent); n != 1 {
			t.Errorf("regular %v: %d pings", regular, n)
		}
	}
}

func TestWithoutATimeoutNoPeerIsDead(t *testing.T) {
	for _, regular := range []bool{false, true} {
		c := newFakeConn()
		p := &Policy{Ping: time.Second, Regular: regular, Opcode: engine.OpPing}
		if at, dead := watch(c, p, time.Minute, nil); dead {
			t.Errorf("regular %v: dead after %v", regular, at)
		}
		if n := len(c.sent); n < 40 || n > 60 {
			t.Errorf("regular %v: %d pings in a minute", regular, n)
		}
	}
}

func TestReceivedBytesAreASignOfLife(t *testing.T) {
	for _, regular := range []bool{false, true} {
		c := newFakeConn()
		p := &Policy{Ping: 10 * time.Second, Timeout: 5 * time.Second, Regular: regular, Opcode: engine.OpPing}
		if at, dead := watch(c, p, time.Hour, func(time.Duration) { c.received++ }); dead {
			t.Errorf("regular %v: dead after %v", regular, at)
		}
		if pinged := len(c.sent) > 0; pinged != regular {
			t.Errorf("regular %v: pinged %v", regular, pinged)
		}
	}
}

// Of a few bytes, some have to wait on, else the system may have acknowledged them for a dead peer.
func TestTakingBytesIsASignOfLifeOnlyWhileOthersWait(t *testing.T) {
	for _, test := range []struct {
		waiting int
		dead    bool
	}{{1 << 20, false}, {unacknowledged + 1, false}, {1100, false}, {1000, true}, {100, true}, {0, true}} {
		c := newFakeConn()
		c.waiting = test.waiting
		p := &Policy{Ping: 10 * time.Second, Timeout: 30 * time.Second, Opcode: engine.OpPing}
		if at, dead := watch(c, p, time.Hour, func(time.Duration) { c.taken += 1000 }); dead != test.dead {
			t.Errorf("%d bytes waiting: dead %v after %v", test.waiting, dead, at)
		}
	}
}

func TestOurOwnHeartbeatIsNoSignOfLife(t *testing.T) {
	c := newFakeConn()
	c.waiting = 1 << 20
	p := &Policy{Ping: 10 * time.Second, Timeout: 30 * time.Second, Opcode: engine.OpPing}
	var taken bool
	_, dead := watch(c, p, time.Hour, func(time.Duration) {
		if len(c.sent) > 0 && !taken {
			taken = true
			c.taken += heartbeatOverhead // the system has taken the ping
		}
	})
	if !dead {
		t.Error("the peer counts as alive")
	}
}

func TestAPausedConnectionIsAlive(t *testing.T) {
	c := newFakeConn()
	c.paused = true
	p := &Policy{Ping: 10 * time.Second, Timeout: 30 * time.Second, Opcode: engine.OpPing}
	if at, dead := watch(c, p, time.Hour, nil); dead {
		t.Errorf("dead after %v", at)
	}
}

// A visit can come late, and find neither the pause nor what the peer has sent in it.
func TestSilenceCountsFromTheVisitAfterAPause(t *testing.T) {
	for _, regular := range []bool{false, true} {
		c := newFakeConn()
		p := &Policy{Ping: 10 * time.Second, Timeout: 30 * time.Second, Regular: regular, Opcode: engine.OpPing}
		var m Monitor
		m.Start(c, p, 0, p.Ping)
		m.Visit(c, p, 10*time.Second) // it sends a heartbeat
		c.pauses++
		now := 2 * time.Minute
		for next := m.Visit(c, p, now); next != 0; next = m.Visit(c, p, now) {
			now += next
		}
		most := 2*time.Minute + p.Timeout + p.Ping/4
		if regular {
			most += p.Ping
		}
		if now < 2*time.Minute+p.Timeout || now > most {
			t.Errorf("regular %v: dead after %v, want %v to %v", regular, now, 2*time.Minute+p.Timeout, most)
		}
	}
}

func TestAHeartbeatThatCanNotBeSentIsTriedAgain(t *testing.T) {
	c := newFakeConn()
	c.refuses = true
	p := &Policy{Ping: 10 * time.Second, Opcode: engine.OpText, Payload: []byte("x")}
	watch(c, p, time.Minute, func(now time.Duration) { c.refuses = now < 15*time.Second })
	if got := <-c.sent; got != "text x" {
		t.Errorf("%q", got)
	}
}

func TestAHeartbeatThatBlocksIsSentByOneGoroutine(t *testing.T) {
	c := newFakeConn()
	c.blocks, c.release = true, make(chan struct{})
	p := &Policy{Ping: time.Second, Opcode: engine.OpPing}
	watch(c, p, time.Minute, nil) // returns although the heartbeat blocks
	close(c.release)
	<-c.sent
	time.Sleep(10 * time.Millisecond)
	if n := len(c.sent); n != 0 {
		t.Errorf("%d more heartbeats were blocked", n)
	}
}

func TestNoVisitsWhereNothingIsToBeDone(t *testing.T) {
	for _, p := range []*Policy{{}, {Regular: true}, {Regular: true, Timeout: time.Second}} {
		var m Monitor
		if next := m.Start(newFakeConn(), p, 0, 0); next != 0 {
			t.Errorf("%+v: visit after %v", *p, next)
		}
	}
}

func TestCompleteChecksTheHeartbeat(t *testing.T) {
	for _, test := range []struct {
		policy Policy
		opcode engine.Opcode
		err    error
	}{
		{Policy{}, engine.OpPing, nil},
		{Policy{Payload: []byte{}}, engine.OpText, nil},
		{Policy{Opcode: engine.OpPong, Payload: make([]byte, 125)}, engine.OpPong, nil},
		{Policy{Opcode: engine.OpPing, Payload: make([]byte, 126)}, engine.OpPing, engine.ErrControlTooLong},
		{Policy{Payload: []byte{0xff}}, engine.OpText, engine.ErrInvalidUTF8},
		{Policy{Opcode: engine.OpBinary, Payload: []byte{0xff}}, engine.OpBinary, nil},
		{Policy{Opcode: engine.OpClose}, engine.OpClose, engine.ErrFrameOrder},
	} {
		p := test.policy
		if err := p.Complete(); !errors.Is(err, test.err) || p.Opcode != test.opcode {
			t.Errorf("%+v: opcode %v, %v", test.policy, p.Opcode, err)
		}
	}
}
