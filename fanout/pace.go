package fanout

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A Pace bounds how fast connections are dialled. In every field 0 means the default, and a
// negative value that there is no bound.
type Pace struct {
	// Rate is how many attempts begin in a second, on average. Default: 100.
	Rate float64

	// Burst is how many may begin at once after a pause. Default: 1. It can't be unbounded.
	Burst int

	// Handshakes is how many attempts may be under way at a time, from Prepare to the end
	// of OnConnect; each has a goroutine. Default: 64. It can't be unbounded.
	Handshakes int

	// PerHost is how many of those may be connecting to the same host and port, from
	// Prepare to the end of the opening handshake. Default: 1 (RFC 6455 section 4.1). A
	// host that doesn't answer then takes one attempt at a time, and holds up no other.
	PerHost int
}

// The defaults of Pace.
const (
	DefaultRate       = 100
	DefaultHandshakes = 64
)

func (p *Pace) complete() {
	p.Rate = orDefault(p.Rate, DefaultRate)
	p.PerHost = orDefault(p.PerHost, 1)
	p.Burst = max(p.Burst, 1)
	if p.Handshakes <= 0 {
		p.Handshakes = DefaultHandshakes
	}
}

// A dialQueue has the slots whose time to dial has come, and starts as many attempts as
// Pace allows: hosts in turn, and the slots of a host in the order in which they came.
type dialQueue struct {
	pace  Pace
	start func(*attempt) // in a goroutine of its own

	mu       sync.Mutex
	limiter  *rate.Limiter
	permit   time.Time // from when on the next attempt may begin; zero: that wasn't asked yet
	timer    *time.Timer
	underWay int
	hosts    map[string]*host
	ready    []*host // that have attempts waiting and room for one
	closed   bool
	running  sync.WaitGroup
}

// A host is what attempts connect to.
type host struct {
	name       string
	waiting    []*attempt
	connecting int
	ready      bool // listed as such
}

func newDialQueue(p Pace, start func(*attempt)) *dialQueue {
	limit := rate.Limit(p.Rate)
	if p.Rate < 0 {
		limit = rate.Inf
	}
	return &dialQueue{pace: p, start: start, limiter: rate.NewLimiter(limit, p.Burst), hosts: map[string]*host{}}
}

// add puts an attempt into the queue.
func (q *dialQueue) add(a *attempt, hostName string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	h := q.hosts[hostName]
	if h == nil {
		h = &host{name: hostName}
		q.hosts[hostName] = h
	}
	a.host = h
	h.waiting = append(h.waiting, a)
	q.offer(h)
	q.startReady()
}

// offer lists a host as ready if it is. The lock is held.
func (q *dialQueue) offer(h *host) {
	room := q.pace.PerHost < 0 || h.connecting < q.pace.PerHost
	switch {
	case len(h.waiting) > 0 && room && !h.ready:
		h.ready = true
		q.ready = append(q.ready, h)
	case len(h.waiting) == 0 && h.connecting == 0:
		delete(q.hosts, h.name)
	}
}

// startReady starts what may begin now, and sees to it that it is called when more may. The
// lock is held.
func (q *dialQueue) startReady() {
	for len(q.ready) > 0 && q.underWay < q.pace.Handshakes && !q.closed {
		if wait := q.wait(); wait > 0 {
			q.ring(wait)
			return
		}
		q.permit = time.Time{}
		q.startNext()
	}
}

// wait returns how long the next attempt has to wait for its turn. The lock is held.
func (q *dialQueue) wait() time.Duration {
	now := time.Now()
	if q.permit.IsZero() {
		q.permit = now.Add(q.limiter.ReserveN(now, 1).DelayFrom(now))
	}
	return q.permit.Sub(now)
}

func (q *dialQueue) ring(after time.Duration) {
	if q.timer == nil {
		q.timer = time.AfterFunc(after, q.permitted)
	} else {
		q.timer.Reset(after)
	}
}

func (q *dialQueue) permitted() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.startReady()
}

func (q *dialQueue) startNext() {
	h := q.ready[0]
	q.ready = q.ready[1:]
	h.ready = false
	a := h.waiting[0]
	h.waiting[0] = nil
	h.waiting = h.waiting[1:]
	h.connecting++
	q.underWay++
	q.offer(h)
	q.running.Go(func() { q.start(a) })
}

// connected says that the attempt isn't connecting any more.
func (q *dialQueue) connected(a *attempt) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a.host.connecting--
	q.offer(a.host)
	q.startReady()
}

// ended says that the attempt is over.
func (q *dialQueue) ended() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.underWay--
	q.startReady()
}

// close forgets what waits. Nothing is started any more.
func (q *dialQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.hosts, q.ready = map[string]*host{}, nil
	if q.timer != nil {
		q.timer.Stop()
	}
}
