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
	return l.conn.SendPing([]byte(l.pings.add(payload, time.Now())))
}

// onPong shows the round trip that ends with a pong. A pong that answers nothing isn't shown.
func (l *link) onPong(payload []byte) {
	if roundTrip, ok := l.pings.answered(payload, time.Now()); ok {
		l.display.pong(payload, roundTrip)
	}
}

// A liveness ends a link from which nothing comes, although pings are sent. Its zero value with a
// link belongs to one that was just opened.
type liveness struct {
	*link
	pinged   bool
	received uint64 // bytes, when the last ping was sent
	silent   int    // pings in a row after which nothing was received
}

// maxSilent is how many pings in a row have to be without any answer.
const maxSilent = 2

// tick sends the ping that is due, or ends the link.
func (v *liveness) tick() {
	received := v.conn.Stats().WireReceived
	if v.pinged && received == v.received && !v.showing.Load() {
		v.silent++
	} else {
		v.silent = 0
	}
	if v.silent >= maxSilent {
		v.conn.Abort(websock.ErrIdle)
		return
	}
	v.pinged, v.received = true, received
	v.ping("") // if the connection has ended, that is found by the one who receives
}
