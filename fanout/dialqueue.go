package fanout

import (
	"container/list"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// overdueAfter is how long an attempt counts against Pace.Handshakes, and how long its host may
// take to answer before it counts as silent.
const overdueAfter = time.Second

// maxHosts is how many hosts are remembered that no attempt waits for.
const maxHosts = 1 << 14

// A dialQueue has the attempts that wait for their turn, and starts as many as Pace allows: hosts
// in turn, and the attempts to a host in the order in which they came.
type dialQueue struct {
	pace  Pace
	start func(*attempt) // returns at once, and calls connected and ended later
	log   func(level slog.Level, msg string, attrs ...slog.Attr)

	mu         sync.Mutex
	pacer      pacer
	timer      *time.Timer
	timerAt    time.Time  // when the timer fires; zero: it is not set
	counted    int        // attempts that count against Pace.Handshakes
	probes     int        // of these: to silent hosts
	underWay   []*attempt // in the order in which they began; among them some that have ended
	hosts      map[string]*host
	lists      [hostLists]list.List // of *host
	waiting    int                  // attempts
	bottleneck bottleneck
	losing     []*host     // whose connections are lost
	lossesDue  time.Time   // when to look at these again
	records    []logRecord // to be logged without the lock
	closed     bool
}

// A dialState is what the dialQueue knows of an attempt.
type dialState struct {
	host     *host
	place    *list.Element // in host.waiting; nil: it isn't there
	urgent   bool          // it ends a pause of its host
	began    time.Time
	progress progress
	probe    bool // it is to a silent host
	shares   bool // it doesn't count against Pace.PerHost, since it doesn't dial
	settled  bool // it has connected, or has failed to
	unblamed bool // it has failed, but not because of its host
}

// A progress is how far an attempt has come.
type progress uint8

const (
	progressWaiting progress = iota // for its turn
	progressCounted                 // under way
	progressOverdue                 // under way for so long that it no longer counts
	progressEnded
)

// A host is what attempts connect to.
type host struct {
	name        string
	waiting     list.List // of *attempt
	begun       int       // attempts that have begun and not ended
	connecting  int       // of these: count against Pace.PerHost
	probing     bool      // one of these is a probe
	list        hostList
	place       *list.Element // in that list
	silent      bool          // an attempt was overdue, and none has got an answer since
	pausedUntil time.Time     // no attempt begins before; zero: the host has not asked for a pause
	failures    uint64        // in a row, of all slots together
	losses      losses
}

// A hostList says in which of the lists of a dialQueue a host is. Hosts in a list have attempts
// waiting and room for one.
type hostList uint8

const (
	unlisted   hostList = iota
	readyList           // an attempt may begin
	silentList          // likewise, but the host doesn't answer
	pausedList          // the host has asked not to be dialed for a while
	hostLists
)

// A bottleneck is what keeps the attempts waiting.
type bottleneck struct {
	name   string // "": nothing has so far
	since  time.Time
	logged bool
}

// A logRecord is something to be logged.
type logRecord struct {
	level slog.Level
	msg   string
	attrs []slog.Attr
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

// unlock also logs the records, since a Logger must not be called with the lock held.
func (q *dialQueue) unlock() {
	records := q.records
	q.records = nil
	q.mu.Unlock()
	for _, r := range records {
		q.log(r.level, r.msg, r.attrs...)
	}
}

// logLocked has something logged by unlock.
func (q *dialQueue) logLocked(level slog.Level, msg string, attrs ...slog.Attr) {
	q.records = append(q.records, logRecord{level, msg, attrs})
}

// errAborted is what connected and ended are called with if an attempt says nothing about its host,
// because it was given up.
var errAborted = errors.New("fanout: the attempt was aborted")

// add puts an attempt into the queue, unless it was removed before. An urgent one ends a pause of its
// host.
func (q *dialQueue) add(a *attempt, hostName string, urgent bool) {
	q.mu.Lock()
	defer q.unlock()
	if q.closed || a.dial.progress == progressEnded {
		return
	}
	h := q.hostLocked(hostName)
	if urgent || a.dial.urgent {
		h.pausedUntil = time.Time{}
	}
	a.dial.host = h
	a.dial.place = h.waiting.PushBack(a)
	q.waiting++
	if h.list == unlisted || q.waiting == 1 { // else the timer is set already
		q.listLocked(h)
		q.startReadyLocked()
	}
}

// hostLocked returns the host that has a name, which may have been forgotten.
func (q *dialQueue) hostLocked(name string) *host {
	h := q.hosts[name]
	if h == nil {
		h = &host{name: name}
		q.hosts[name] = h
	}
	return h
}

// stale returns the attempts in the queue that are stale, says isStale.
func (q *dialQueue) stale(isStale func(*attempt) bool) (stale []*attempt) {
	q.mu.Lock()
	defer q.unlock()
	for _, h := range q.hosts {
		for e := h.waiting.Front(); e != nil; e = e.Next() {
			if a := e.Value.(*attempt); isStale(a) {
				stale = append(stale, a)
			}
		}
	}
	return stale
}

// remove takes an attempt out of the queue, unless it has begun.
func (q *dialQueue) remove(a *attempt) {
	q.mu.Lock()
	defer q.unlock()
	d := &a.dial
	if d.progress != progressWaiting {
		return
	}
	d.progress = progressEnded
	if d.place == nil || q.closed {
		return
	}
	d.host.waiting.Remove(d.place)
	if q.waiting--; q.waiting == 0 {
		q.pacer.idle()
	}
	if d.host.waiting.Len() == 0 {
		q.unlistLocked(d.host)
		q.listLocked(d.host)
	}
}

// hurry ends the pause of the host that an attempt waits for.
func (q *dialQueue) hurry(a *attempt) {
	q.mu.Lock()
	defer q.unlock()
	a.dial.urgent = true
	if a.dial.progress == progressWaiting && a.dial.place != nil {
		a.dial.host.pausedUntil = time.Time{}
		q.startReadyLocked()
	}
}

// setRate changes Pace.Rate from now on.
func (q *dialQueue) setRate(rate float64) {
	if math.IsNaN(rate) {
		return
	}
	q.mu.Lock()
	defer q.unlock()
	q.pace.Rate = orDefault(rate, DefaultRate)
	q.pacer.setInterval(q.pace.interval(), time.Now())
	q.startReadyLocked()
}

// listLocked puts a host into the list where it belongs, if it is in none. It forgets a host about
// which nothing has to be remembered.
func (q *dialQueue) listLocked(h *host) {
	switch {
	case h.list != unlisted:
		return
	case h.waiting.Len() == 0:
		worthy := h.failures > 0 || h.losses.reported > 0 || !h.pausedUntil.IsZero()
		remembered := worthy && len(q.hosts) <= maxHosts || h.losses.window > 0
		if h.begun == 0 && !remembered {
			delete(q.hosts, h.name)
		}
		return
	case h.connecting >= q.pace.PerHost:
		return
	case time.Now().Before(h.pausedUntil):
		h.list = pausedList
	case h.silent && h.probing:
		return
	case h.silent:
		h.list = silentList
	default:
		h.list = readyList
	}
	h.place = q.lists[h.list].PushBack(h)
}

// unlistLocked takes a host out of its list, so that listLocked can put it where it belongs now.
func (q *dialQueue) unlistLocked(h *host) {
	if h.list != unlisted {
		q.lists[h.list].Remove(h.place)
		h.list, h.place = unlisted, nil
	}
}

// startReadyLocked starts the attempts that may begin now, and sets the timer for the next ones.
func (q *dialQueue) startReadyLocked() {
	if q.closed {
		return
	}
	now := time.Now()
	next := q.endPausesLocked(now)
	q.markOverdueLocked(now)
	limit := ""
	for limit == "" {
		h := q.nextHostLocked()
		switch wait := time.Duration(0); {
		case h == nil:
			if q.waiting == 0 {
				q.pacer.idle()
			}
			limit = q.noHostLimitLocked()
		case q.counted >= q.pace.Handshakes:
			limit = "Pace.Handshakes"
		default:
			if wait = q.pacer.wait(now); wait > 0 {
				limit = "Pace.Rate"
				next = sooner(next, wait)
			} else {
				q.pacer.take()
				q.startLocked(h, now)
			}
		}
	}
	if q.waiting > 0 && len(q.underWay) > 0 {
		next = sooner(next, q.underWay[0].dial.began.Add(overdueAfter).Sub(now))
	}
	if left := q.logLossesLocked(now); left > 0 {
		next = sooner(next, left)
	}
	q.noteBottleneckLocked(limit, now)
	q.setTimerLocked(next, now)
}

// sooner returns the shorter of two waits. 0 as the first one means that there is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 {
		return max(b, 1)
	}
	return max(min(a, b), 1)
}

// nextHostLocked returns the host whose turn it is, nil if there is none. Hosts that answer come
// first; those that don't get at most half of Pace.Handshakes.
func (q *dialQueue) nextHostLocked() *host {
	next := q.lists[readyList].Front()
	if next == nil && q.probes < max(q.pace.Handshakes/2, 1) {
		next = q.lists[silentList].Front()
	}
	if next == nil {
		return nil
	}
	return next.Value.(*host)
}

// startLocked starts an attempt to the host whose turn it is.
func (q *dialQueue) startLocked(h *host, now time.Time) {
	q.unlistLocked(h)
	a := h.waiting.Remove(h.waiting.Front()).(*attempt)
	q.waiting--
	h.begun++
	h.connecting++
	a.dial.began, a.dial.progress = now, progressCounted
	q.counted++
	if h.silent {
		a.dial.probe, h.probing = true, true
		q.probes++
	}
	q.underWay = append(q.underWay, a)
	q.listLocked(h)
	q.start(a)
}

// endPausesLocked lists the hosts anew whose pause is over, and returns how long the next one has
// to wait; 0: there is none.
func (q *dialQueue) endPausesLocked(now time.Time) (next time.Duration) {
	for at := q.lists[pausedList].Front(); at != nil; {
		h := at.Value.(*host)
		at = at.Next()
		if left := h.pausedUntil.Sub(now); left > 0 {
			next = sooner(next, left)
		} else {
			q.unlistLocked(h)
			q.listLocked(h)
		}
	}
	return next
}

// markOverdueLocked no longer counts the attempts that take too long, and marks their hosts as
// silent.
func (q *dialQueue) markOverdueLocked(now time.Time) {
	for len(q.underWay) > 0 {
		a := q.underWay[0]
		d := &a.dial
		if d.progress != progressEnded && now.Sub(d.began) < overdueAfter {
			return
		}
		q.underWay[0] = nil
		q.underWay = q.underWay[1:]
		if d.progress == progressCounted {
			q.uncountLocked(d)
			d.progress = progressOverdue
			if !d.settled && !d.host.silent {
				d.host.silent = true
				q.unlistLocked(d.host)
			}
			q.listLocked(d.host)
		}
	}
}

// uncountLocked no longer counts an attempt against Pace.Handshakes.
func (q *dialQueue) uncountLocked(d *dialState) {
	q.counted--
	if d.probe {
		q.probes--
		d.probe, d.host.probing = false, false
	}
}

// noHostLimitLocked names what keeps the attempts waiting while no host is ready.
func (q *dialQueue) noHostLimitLocked() string {
	switch {
	case q.waiting == 0:
		return noLimit
	case q.lists[pausedList].Len() > 0:
		return "Retry-After"
	case q.probes > 0:
		return "silent host"
	}
	return "Pace.PerHost"
}

// noLimit is the bottleneck's name while no attempt waits.
const noLimit = "none"

// noteBottleneckLocked logs what keeps the attempts waiting, once it has done so for a while.
func (q *dialQueue) noteBottleneckLocked(name string, now time.Time) {
	const while = time.Second
	switch b := &q.bottleneck; {
	case b.name != name:
		*b = bottleneck{name: name, since: now}
	case !b.logged && name != noLimit && now.Sub(b.since) >= while:
		b.logged = true
		q.logLocked(slog.LevelInfo, "slots wait to be dialed", slog.String("limit", name), slog.Int("waiting", q.waiting))
	}
}

// setTimerLocked has onTimer called after a while, unless it is called earlier anyway. 0: it isn't
// needed.
func (q *dialQueue) setTimerLocked(after time.Duration, now time.Time) {
	at := now.Add(after)
	if after == 0 || !q.timerAt.IsZero() && !at.Before(q.timerAt) {
		return
	}
	q.timerAt = at
	if q.timer == nil {
		q.timer = time.AfterFunc(after, q.onTimer)
	} else {
		q.timer.Reset(after)
	}
}

func (q *dialQueue) onTimer() {
	q.mu.Lock()
	defer q.unlock()
	q.timerAt = time.Time{}
	q.startReadyLocked()
}

// sharesConn is called when an attempt has got a stream of a connection that another one has dialled.
func (q *dialQueue) sharesConn(a *attempt) {
	q.mu.Lock()
	defer q.unlock()
	d := &a.dial
	if d.shares || d.settled {
		return
	}
	d.shares = true
	d.host.connecting--
	q.listLocked(d.host)
	q.startReadyLocked()
}

// connected is called when an attempt has connected, or has failed to with err.
func (q *dialQueue) connected(a *attempt, err error) {
	q.mu.Lock()
	defer q.unlock()
	q.connectedLocked(&a.dial, err)
	q.startReadyLocked()
}

func (q *dialQueue) connectedLocked(d *dialState, err error) {
	if d.settled {
		return
	}
	d.settled = true
	if !d.shares {
		d.host.connecting--
	}
	answers := err == nil || err != errAborted && d.progress == progressCounted
	if d.host.silent && answers {
		d.host.silent = false
		q.unlistLocked(d.host)
	}
	q.listLocked(d.host)
}

// ended is called when an attempt has ended: with err, or when its slot is up.
func (q *dialQueue) ended(a *attempt, err error) {
	q.mu.Lock()
	defer q.unlock()
	d := &a.dial
	q.connectedLocked(d, err)
	if d.progress == progressCounted {
		q.uncountLocked(d)
	}
	d.progress = progressEnded
	d.host.begun--
	if !d.unblamed {
		q.noteOutcomeLocked(a, d.host, err)
	}
	q.listLocked(d.host)
	q.startReadyLocked()
}

// failed is called when the slot of an attempt that is unblamed, and that has ended, goes on: others
// may fail in the same way.
func (q *dialQueue) failed(a *attempt, err error) {
	q.mu.Lock()
	defer q.unlock()
	h := q.hostLocked(a.dial.host.name)
	q.noteOutcomeLocked(a, h, err)
	q.listLocked(h)
	q.startReadyLocked()
}

// noteOutcomeLocked remembers what the outcome of an attempt says about the host.
func (q *dialQueue) noteOutcomeLocked(a *attempt, h *host, err error) {
	switch {
	case q.closed, err == errAborted:
		return
	case err == nil:
		q.noteReturnLocked(h)
		if h.failures > 0 {
			q.logLocked(slog.LevelInfo, "connected again", slog.String("url", a.target.logName()), slog.Uint64("failures", h.failures))
		}
		h.failures, h.pausedUntil = 0, time.Time{}
		return
	}
	h.failures++
	if powerOfTwo := h.failures&(h.failures-1) == 0; powerOfTwo {
		q.logLocked(slog.LevelWarn, "can't connect", slog.String("url", a.target.logName()), slog.Uint64("failures", h.failures), slog.Any("error", err))
	}
	now := time.Now()
	if until := now.Add(requestedPause(err, now)); until.After(now) && until.After(h.pausedUntil) {
		h.pausedUntil = until
		q.unlistLocked(h)
	}
}

// requestedPause returns for how long the host of a failed attempt asks not to be dialed.
func requestedPause(err error, now time.Time) time.Duration {
	var failed *websock.HandshakeError
	if !errors.As(err, &failed) || failed.Status != http.StatusTooManyRequests && failed.Status != http.StatusServiceUnavailable {
		return 0
	}
	return retryAfter(err, now)
}

// close forgets the attempts that wait. None is started any more.
func (q *dialQueue) close() {
	q.mu.Lock()
	defer q.unlock()
	q.closed = true
	q.hosts, q.lists, q.underWay, q.losing = map[string]*host{}, [hostLists]list.List{}, nil, nil
	if q.timer != nil {
		q.timer.Stop()
	}
}
