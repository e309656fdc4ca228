package connect

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// pings are the pings of a link that are not answered yet. They may be used by several goroutines.
type pings struct {
	mu      sync.Mutex
	sent    []sentPing // the oldest first
	counter int
}

type sentPing struct {
	payload string
	at      time.Time
}

// maxPings is how many pings are remembered that a server doesn't answer.
const maxPings = 100

// add returns the payload of a ping that is to be sent: the one given or, if that is empty, a number.
func (p *pings) add(payload string, now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if payload == "" {
		p.counter++
		payload = strconv.Itoa(p.counter)
	}
	p.sent = append(p.sent, sentPing{payload, now})
	p.sent = p.sent[max(len(p.sent)-maxPings, 0):]
	return payload
}

// answered returns the time since the ping that a pong answers. A server may answer only the latest
// of several pings (RFC 6455 section 5.5.3), so those before it are forgotten, too.
func (p *pings) answered(payload []byte, now time.Time) (roundTrip time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.sent, func(s sentPing) bool { return s.payload == string(payload) })
	if i < 0 {
		return 0, false
	}
	roundTrip = now.Sub(p.sent[i].at)
	p.sent = slices.Delete(p.sent, 0, i+1)
	return roundTrip, true
}

// ping sends a ping.
func (l *link) ping(payload string) error {
	return l.sendFrame(websock.OpPing, []byte(l.pings.add(payload, time.Now())))
}

// onPong shows the round trip that ends with a pong. A pong that answers nothing isn't shown.
func (l *link) onPong(payload []byte) {
	l.Record.Message(websock.Server, websock.OpPong, payload)
	if roundTrip, ok := l.pings.answered(payload, time.Now()); ok {
		l.display.pong(payload, roundTrip)
	}
}

// A liveness finds out whether a server is gone, by what is received although pings are sent. Its zero
// value belongs to a link that was just opened.
type liveness struct {
	received uint64 // bytes, at the last call of isSilent
	taken    int64  // bytes that the server had accepted then
	calls    int    // of isSilent, since the one that saw the last sign of life; 0: no ping was sent
}

// traffic is what has passed on a link until now.
type traffic struct {
	received uint64 // bytes
	taken    int64  // bytes that the server has accepted
	waiting  int    // bytes that it has not
	showing  bool   // a message is being shown, so nothing is received
}

// unacknowledged bounds what may wait only because the server's system acknowledges it late.
const unacknowledged = 4 << 10

// isUploading reports whether so much waits for the server that a ping would wait behind it. That the server
// takes it is then a sign of life.
func (t traffic) isUploading() bool { return t.waiting > unacknowledged }

// leastSilence is how long nothing has to be received at least: the answers to short intervals may take
// much longer than these.
const leastSilence = 5 * time.Second

// isSilent is called when a ping is due. It reports whether there was no sign of life for two intervals, and
// so after two pings. It counts intervals: while this process is stopped, it can't see what comes.
func (v *liveness) isSilent(t traffic, interval time.Duration) bool {
	takes := t.isUploading() && t.taken > v.taken
	if t.received != v.received || takes || t.showing {
		v.calls = 0
	}
	v.received, v.taken = t.received, t.taken
	silence := time.Duration(v.calls) * interval
	v.calls++
	return silence >= max(2*interval, leastSilence)
}

// keepAlive sends pings until the connection has ended, and ends it if the server is gone. It must not wait
// for the server, as other sends do.
func (l *link) keepAlive(ended <-chan struct{}) {
	ticker := time.NewTicker(l.Ping)
	defer ticker.Stop()
	var server liveness
	for {
		select {
		case <-ticker.C:
			l.pingOrAbort(&server)
		case <-ended:
			return
		}
	}
}

// pingOrAbort sends the ping that is due, or ends a link whose server is gone.
func (l *link) pingOrAbort(v *liveness) {
	now := traffic{received: l.conn.Stats().WireReceived, showing: l.showing.Load()}
	now.taken, now.waiting = l.conn.Outgoing()
	switch {
	case v.isSilent(now, l.Ping):
		l.conn.Abort(websock.ErrIdle)
	case !now.isUploading():
		payload := []byte(l.pings.add("", time.Now()))
		l.Record.Message(websock.Client, websock.OpPing, payload)
		l.conn.TrySend(websock.OpPing, payload) // if the connection has ended, that is found by the one who receives
	}
}
