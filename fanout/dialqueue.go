package fanout

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// patience is how long an attempt counts against Pace.Handshakes, and how long its host may take
// without being taken for one that doesn't answer.
const patience = time.Second

// maxHosts is how many hosts are remembered that nobody waits for.
const maxHosts = 1 << 14

// A dialQueue has the slots whose time to dial has come, and starts as many attempts as
// Pace allows: hosts in turn, and the slots of a host in the order in which they came.
type dialQueue struct {
	pace  Pace
	start func(*attempt) // returns at once, and calls connected and ended later
	log   func(level slog.Level, what string, attrs ...slog.Attr)

	mu       sync.Mutex
	pacer    pacer
	timer    *time.Timer
	rings    time.Time  // when the timer does; zero: it doesn't
	counted  int        // attempts under way that count against Pace.Handshakes
	probes   int        // of these: to silent hosts
	underWay []*attempt // in the order in which they began; among them some that have ended
	hosts    map[string]*host
	waiting  int     // attempts
	ready    []*host // that have attempts waiting and room for one
	silent   []*host // likewise, and don't answer
	paused   []*host // have asked to be left alone for a while
	limit    limit
	notes    []note // to be logged without the lock
	closed   bool
}

// A note is something to be logged.
type note struct {
	level slog.Level
	what  string
	attrs []slog.Attr
}

// A limit is what holds up the attempts that wait.
type limit struct {
	name   string // "": nothing
	since  time.Time
	logged bool
}

// A host is what attempts connect to.
type host struct {
	name       string
	waiting    []*attempt
	begun      int       // attempts whose end is to come, which says something about the host
	connecting int       // of these, without a connection so far
	probing    bool      // one of these began though the host was silent
	listed     bool      // in ready or silent
	silent     bool      // an attempt was given up to wait for, and none has succeeded since
	until      time.Time // nothing is begun before; zero: there is no such time
	failures   uint64    // attempts in a row, of all slots together
}

func newDialQueue(p Pace, start func(*attempt), log func(slog.Level, string, ...slog.Attr)) *dialQueue {
	return &dialQueue{
		pace:  p,
		start: start,
		log:   log,
		pacer: pacer{interval: p.interval(), burst: p.Burst},
		hosts: map[string]*host{},
	}
}

// unlock logs what there is to log, which is not to be done under the lock.
func (q *dialQueue) unlock() {
	notes := q.notes
	q.notes = nil
	q.mu.Unlock()
	for _, n := range notes {
		q.log(n.level, n.what, n.attrs...)
	}
}

// note has something logged. The lock is held.
func (q *dialQueue) note(level slog.Level, what string, attrs ...slog.Attr) {
	q.notes = append(q.notes, note{level, what, attrs})
}

// add puts an attempt into the queue. An urgent one ends a time for which the host has asked.
func (q *dialQueue) add(a *attempt, hostName string, urgent bool) {
	q.mu.Lock()
	defer q.unlock()
	if q.closed {
		return
	}
	h := q.hosts[hostName]
	if h == nil {
		h = &host{name: hostName}
		q.hosts[hostName] = h
	}
	if urgent {
		h.until = time.Time{}
	}
	a.host = h
	h.waiting = append(h.waiting, a)
	q.waiting++
	if !h.listed || q.waiting == 1 { // else the timer is set already
		q.offer(h)
		q.startReady()
	}
}

// hurry ends the time for which the host has asked that an attempt of the slot waits for.
func (q *dialQueue) hurry(s *Slot) {
	q.mu.Lock()
	defer q.unlock()
	for _, h := range q.paused {
		if slices.ContainsFunc(h.waiting, func(a *attempt) bool { return a.slot == s }) {
			h.until = time.Time{}
		}
	}
	q.startReady()
}

// offer lists a host as ready if it is, and forgets one that nobody needs. The lock is held.
func (q *dialQueue) offer(h *host) {
	switch {
	case h.listed:
	case len(h.waiting) == 0:
		remembered := (h.failures > 0 || !h.until.IsZero()) && len(q.hosts) <= maxHosts
		if h.begun == 0 && !remembered {
			delete(q.hosts, h.name)
		}
	case h.connecting >= q.pace.PerHost:
	case time.Now().Before(h.until):
		h.listed = true
		q.paused = append(q.paused, h)
	case h.silent && h.probing:
	case h.silent:
		h.listed = true
		q.silent = append(q.silent, h)
	default:
		h.listed = true
		q.ready = append(q.ready, h)
	}
}

// startReady starts what may begin now, and sets the timer for when more may. The lock is held.
func (q *dialQueue) startReady() {
	if q.closed {
		return
	}
	now := time.Now()
	next := q.resume(now)
	q.giveUpWaiting(now)
	limited := ""
	for limited == "" {
		h := q.nextHost()
		switch wait := time.Duration(0); {
		case h == nil:
			if q.waiting == 0 {
				q.pacer.rest()
			}
			limited = q.idleLimit()
		case q.counted >= q.pace.Handshakes:
			limited = "Pace.Handshakes"
		default:
			if wait = q.pacer.wait(now); wait > 0 {
				limited = "Pace.Rate"
				next = sooner(next, wait)
			} else {
				q.pacer.take()
				q.begin(h, now)
			}
		}
	}
	if q.waiting > 0 && len(q.underWay) > 0 {
		next = sooner(next, q.underWay[0].began.Add(patience).Sub(now))
	}
	q.noteLimit(limited, now)
	q.ring(next, now)
}

// sooner returns the shorter of two waits, of which one may be 0: there is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 {
		return max(b, 1)
	}
	return max(min(a, b), 1)
}

// nextHost returns the host whose turn it is, nil if there is none: those that answer first, and
// half of Pace.Handshakes for those that don't. The lock is held.
func (q *dialQueue) nextHost() *host {
	switch {
	case len(q.ready) > 0:
		return q.ready[0]
	case len(q.silent) > 0 && q.probes < max(q.pace.Handshakes/2, 1):
		return q.silent[0]
	}
	return nil
}

// begin starts an attempt to the host whose turn it is. The lock is held.
func (q *dialQueue) begin(h *host, now time.Time) {
	if len(q.ready) > 0 {
		q.ready = q.ready[1:]
	} else {
		q.silent = q.silent[1:]
	}
	h.listed = false
	a := h.waiting[0]
	h.waiting[0] = nil
	h.waiting = h.waiting[1:]
	q.waiting--
	h.begun++
	h.connecting++
	a.began, a.progress = now, countedAttempt
	q.counted++
	if h.silent {
		a.probe, h.probing = true, true
		q.probes++
	}
	q.underWay = append(q.underWay, a)
	q.offer(h)
	q.start(a)
}

// resume lists the hosts again whose pause is over, and returns how long the next has to wait.
// The lock is held.
func (q *dialQueue) resume(now time.Time) (next time.Duration) {
	paused := q.paused
	q.paused = nil
	for _, h := range paused {
		h.listed = false
		q.offer(h)
		if left := h.until.Sub(now); h.listed && left > 0 {
			next = sooner(next, left)
		}
	}
	return next
}

// giveUpWaiting no longer counts the attempts that take too long, and takes their hosts for
// silent. The lock is held.
func (q *dialQueue) giveUpWaiting(now time.Time) {
	for len(q.underWay) > 0 {
		a := q.underWay[0]
		if a.progress != endedAttempt && now.Sub(a.began) < patience {
			return
		}
		q.underWay[0] = nil
		q.underWay = q.underWay[1:]
		if a.progress == countedAttempt {
			q.uncount(a)
			a.progress = overdueAttempt
			if !a.opened && !a.host.silent {
				a.host.silent = true
				q.unlist(a.host)
			}
			q.offer(a.host)
		}
	}
}

// unlist takes a host from the lists, for offer to list it where it belongs now. The lock is
// held.
func (q *dialQueue) unlist(h *host) {
	if !h.listed {
		return
	}
	h.listed = false
	for _, list := range []*[]*host{&q.ready, &q.silent, &q.paused} {
		if i := slices.Index(*list, h); i >= 0 {
			*list = slices.Delete(*list, i, i+1)
		}
	}
}

// uncount ends the time in which an attempt counts against Pace.Handshakes. The lock is held.
func (q *dialQueue) uncount(a *attempt) {
	q.counted--
	if a.probe {
		q.probes--
		a.probe, a.host.probing = false, false
	}
}

// idleLimit names what holds up those that wait while no host is ready. The lock is held.
func (q *dialQueue) idleLimit() string {
	switch {
	case q.waiting == 0:
		return "none"
	case len(q.paused) > 0:
		return "Retry-After"
	}
	return "Pace.PerHost"
}

// noteLimit logs what holds up those that wait, once it has done so for a while. The lock is
// held.
func (q *dialQueue) noteLimit(name string, now time.Time) {
	const while = time.Second
	switch l := &q.limit; {
	case l.name != name:
		*l = limit{name: name, since: now}
	case !l.logged && name != "none" && now.Sub(l.since) >= while:
		l.logged = true
		q.note(slog.LevelInfo, "slots wait to be dialled", slog.String("limit", name), slog.Int("waiting", q.waiting))
	}
}

// ring has permitted called after a while, unless it is called earlier anyway. The lock is held.
func (q *dialQueue) ring(after time.Duration, now time.Time) {
	at := now.Add(after)
	if after == 0 || !q.rings.IsZero() && !at.Before(q.rings) {
		return
	}
	q.rings = at
	if q.timer == nil {
		q.timer = time.AfterFunc(after, q.permitted)
	} else {
		q.timer.Reset(after)
	}
}

func (q *dialQueue) permitted() {
	q.mu.Lock()
	defer q.unlock()
	q.rings = time.Time{}
	q.startReady()
}

// connected says that the attempt isn't connecting any more, and whether there is a connection.
func (q *dialQueue) connected(a *attempt, ok bool) {
	q.mu.Lock()
	defer q.unlock()
	q.leaveHost(a, ok)
	q.startReady()
}

// leaveHost ends an attempt's time of connecting. The lock is held.
func (q *dialQueue) leaveHost(a *attempt, ok bool) {
	if a.opened {
		return
	}
	a.opened = true
	a.host.connecting--
	if a.host.silent && (ok || a.progress == countedAttempt) { // it answers
		a.host.silent = false
		q.unlist(a.host)
	}
	q.offer(a.host)
}

// ended says that the attempt is over, and how.
func (q *dialQueue) ended(a *attempt, err error) {
	q.mu.Lock()
	defer q.unlock()
	q.leaveHost(a, err == nil)
	if a.progress == countedAttempt {
		q.uncount(a)
	}
	a.progress = endedAttempt
	a.host.begun--
	q.learn(a, err)
	q.offer(a.host)
	q.startReady()
}

// learn takes from an attempt's end what it says about the host. The lock is held.
func (q *dialQueue) learn(a *attempt, err error) {
	h := a.host
	switch {
	case q.closed, err == nil && a.conn == nil: // nothing was tried
		return
	case err == nil:
		if h.failures > 0 {
			q.note(slog.LevelInfo, "connected again", slog.String("url", a.target.name()), slog.Uint64("failures", h.failures))
		}
		h.failures, h.until = 0, time.Time{}
		return
	}
	h.failures++
	if h.failures&(h.failures-1) == 0 {
		q.note(slog.LevelWarn, "can't connect", slog.String("url", a.target.name()), slog.Uint64("failures", h.failures), slog.Any("error", err))
	}
	now := time.Now()
	if until := now.Add(hostPause(err, now)); until.After(now) && until.After(h.until) {
		h.until = until
		q.unlist(h)
	}
}

// hostPause returns for how long the host of an attempt that failed doesn't want any other.
func hostPause(err error, now time.Time) time.Duration {
	var failed *websock.HandshakeError
	if !errors.As(err, &failed) || failed.Status != http.StatusTooManyRequests && failed.Status != http.StatusServiceUnavailable {
		return 0
	}
	return retryAfter(err, now)
}

// close forgets what waits. Nothing is started any more.
func (q *dialQueue) close() {
	q.mu.Lock()
	defer q.unlock()
	q.closed = true
	q.hosts, q.ready, q.silent, q.paused, q.underWay = map[string]*host{}, nil, nil, nil, nil
	if q.timer != nil {
		q.timer.Stop()
	}
}
