package websock

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"weak"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
)

// fallbackMemory is how long a server that doesn't speak RFC 8441 is asked for HTTP/1.1 at once, and one
// that can't be reached with HTTP/3 is not asked for that.
const fallbackMemory = 10 * time.Minute

// A muxSession is a connection, with HTTP/2 or HTTP/3, as the pool sees it.
type muxSession interface {
	// openStream sends a request, and returns its stream with the head of the final response.
	openStream(ctx context.Context, fields []hpack.HeaderField) (transport.Conn, handshake.ResponseHead, error)

	Room() int
	Streams() int
	Err() error
	GoingAway() bool

	// keepAlive has one PING serve all WebSockets of the session, if it can, and returns the policy
	// that remains for a WebSocket.
	keepAlive(p *keepalive.Policy) *keepalive.Policy

	Shutdown()
	Close(code http2.ErrCode, cause error)
}

// A muxHost has the connections that Dials with one muxKey share. Mux.mu guards it.
type muxHost struct {
	mux   *Mux
	key   muxKey
	conns []*muxConn // being dialled, or open
	spare []*muxConn // open, and may have room
	queue list.List  // of *muxWaiter: Dials that wait for room

	limit        int       // streams that a new connection is expected to take
	http1Until   time.Time // the server is asked for HTTP/1.1
	noHTTP3Until time.Time // the server is not asked for HTTP/3
}

// A muxConnState is where a connection is in its life.
type muxConnState uint8

const (
	muxDialling muxConnState = iota // Dials that need it wait
	muxOverdue                      // the same, but the time of one of them was over: no other one joins
	muxConnOpen                     // takes streams
	muxDraining                     // takes no more streams; those that it has go on
	muxConnClosed
)

// A muxConn is an HTTP/2 connection, from the moment it is dialled. Mux.mu guards it, but session is
// only set, before done is closed.
type muxConn struct {
	host  *muxHost
	state muxConnState

	claims   int                // Dials that wait for it
	orphaned bool               // the Dial that dials it has left
	cancel   context.CancelFunc // ends dialling
	patience time.Duration      // for HTTP/3, before another protocol is tried; 0: no bound
	done     chan struct{}      // closed when dialling has ended
	err      error              // why it has failed, or nil
	http1    *http1Conn         // what it has led to if the server has chosen HTTP/1.1, until a Dial takes it

	session  muxSession
	lastUsed time.Time // when it was chosen or had its last stream
	isSpare  bool      // is in host.spare
	isTimed  bool      // an idleCheck is scheduled
}

func (c *muxConn) isDialling() bool { return c.state <= muxOverdue }

// A muxWaiter is a Dial in the queue of a muxHost.
type muxWaiter struct{ wake chan struct{} }

// A muxLease is what a Dial goes on with: a connection that had room, or an HTTP/1.1 connection, or,
// if it is zero, one of HTTP/1.1 that it dials itself.
type muxLease struct {
	conn  *muxConn
	http1 *http1Conn
}

// A muxDialer dials the connections that the pool lacks.
type muxDialer interface {
	// startDial begins to dial c, and has one of its methods opened, failed and foundHTTP1 called
	// by another goroutine. ctx ends when nobody waits for c any more.
	startDial(ctx context.Context, c *muxConn)
}

// acquire waits until there is a connection to the host, and has it dialled if necessary. The
// connection is another one than refuser, which has refused the Dial's stream, unless MaxConns
// allows no other.
func (m *Mux) acquire(ctx context.Context, key muxKey, d muxDialer, refuser *muxConn) (muxLease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	woken := false // it has waited in the queue, and may pass those that are in it
	for {
		h, err := m.hostLocked(key)
		if err != nil || h.speaksHTTP1Locked() {
			return muxLease{}, err
		}
		if woken || h.queue.Len() == 0 {
			if c := h.spareConnLocked(refuser); c != nil {
				c.lastUsed = time.Now()
				return muxLease{conn: c}, nil
			}
			c, starts := h.dialledConnLocked()
			switch {
			case starts:
				c = h.startDialLocked(ctx, d)
			case c == nil && refuser != nil:
				refuser = nil
				continue
			}
			if c != nil {
				lease, err := c.awaitLocked(ctx, starts)
				if err != nil || lease != (muxLease{}) {
					return lease, err
				}
				continue
			}
		}
		if err := h.queueLocked(ctx, woken); err != nil {
			return muxLease{}, err
		}
		woken = true
	}
}

// hostLocked returns the muxHost for a key.
func (m *Mux) hostLocked(key muxKey) (*muxHost, error) {
	if m.state != muxOpen {
		return nil, muxClosedError()
	}
	h := m.hosts[key]
	if h == nil {
		if m.hosts == nil {
			m.hosts, m.conns = map[muxKey]*muxHost{}, map[*muxConn]struct{}{}
		}
		h = &muxHost{mux: m, key: key, limit: m.streamsPerConn()}
		m.hosts[key] = h
	}
	return h, nil
}

func muxClosedError() error { return &HandshakeError{Reason: "no stream", Err: errMuxClosed} }

// avoidsHTTP3Locked reports whether the server is not asked for HTTP/3.
func (h *muxHost) avoidsHTTP3Locked() bool {
	return !h.noHTTP3Until.IsZero() && time.Now().Before(h.noHTTP3Until)
}

// speaksHTTP1Locked reports whether the server is asked for HTTP/1.1.
func (h *muxHost) speaksHTTP1Locked() bool {
	return !h.http1Until.IsZero() && time.Now().Before(h.http1Until)
}

// spareConnLocked returns an open connection with room, but not refuser, or nil.
func (h *muxHost) spareConnLocked(refuser *muxConn) *muxConn {
	for i, c := range slices.Backward(h.spare) {
		switch {
		case c.session.Room() == 0:
			c.isSpare = false
			h.spare = slices.Delete(h.spare, i, i+1)
		case c != refuser:
			return c
		}
	}
	return nil
}

// dialledConnLocked returns a connection that is being dialled and will have room, or says that another one
// is to be dialled. Otherwise the Dial has to wait for room: MaxConns is reached, or the server has
// allowed no stream at all on a connection.
func (h *muxHost) dialledConnLocked() (c *muxConn, starts bool) {
	for _, c := range slices.Backward(h.conns) {
		switch {
		case c.state == muxDialling && c.claims < h.limit:
			return c, false
		case c.state == muxConnOpen && c.session.Streams() == 0 && c.session.Room() == 0:
			return nil, false
		}
	}
	most := h.mux.MaxConns
	return nil, most == 0 || len(h.conns) < most
}

// startDialLocked begins to dial another connection. What it takes from ctx are only the values: the
// connection is dialled as long as a Dial waits for it.
func (h *muxHost) startDialLocked(ctx context.Context, d muxDialer) *muxConn {
	patience := time.Duration(0)
	if end, ok := ctx.Deadline(); ok {
		patience = max(time.Until(end)/2, 1)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &muxConn{host: h, cancel: cancel, patience: patience, done: make(chan struct{})}
	h.conns = append(h.conns, c)
	d.startDial(ctx, c)
	return c
}

// awaitLocked waits until the connection is dialled or ctx ends. It releases the lock meanwhile. If it
// returns nothing, the server is to be asked for HTTP/1.1.
func (c *muxConn) awaitLocked(ctx context.Context, starter bool) (muxLease, error) {
	m := c.host.mux
	c.claims++
	m.mu.Unlock()
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	m.mu.Lock()
	c.claims--
	dialling := c.isDialling()
	if dialling {
		c.leftLocked(starter, ctx.Err())
		return muxLease{}, &HandshakeError{Reason: "can't connect", Err: ctx.Err()}
	}
	http1 := c.http1
	if starter || c.orphaned {
		c.http1 = nil
	} else {
		http1 = nil
	}
	switch {
	case c.err != nil:
		return muxLease{}, ownError(c.err)
	case http1 != nil:
		return muxLease{http1: http1}, nil
	case c.session != nil:
		return muxLease{conn: c}, nil // even if it has ended since: that is the error
	}
	return muxLease{}, nil
}

// leftLocked is called when a Dial has left, because of err, a connection that is being dialled.
func (c *muxConn) leftLocked(starter bool, err error) {
	c.orphaned = c.orphaned || starter
	switch {
	case c.claims == 0:
		c.endDialLocked()
		c.cancel()
	case errors.Is(err, context.DeadlineExceeded):
		c.state = muxOverdue
	default:
		c.host.wakeLocked(1)
	}
}

// ownError returns a copy of an error that several Dials get, since each completes its own.
func ownError(err error) error {
	failed, ok := err.(*HandshakeError)
	if !ok {
		return err
	}
	own := *failed
	own.Header, own.Body = own.Header.Clone(), bytes.Clone(own.Body)
	return &own
}

// queueLocked waits in the queue until there may be room; at the front if the Dial was woken before,
// but another was faster. It releases the lock meanwhile.
func (h *muxHost) queueLocked(ctx context.Context, front bool) error {
	w := &muxWaiter{wake: make(chan struct{})}
	add := h.queue.PushBack
	if front {
		add = h.queue.PushFront
	}
	place := add(w)
	h.mux.mu.Unlock()
	select {
	case <-w.wake:
	case <-ctx.Done():
	}
	h.mux.mu.Lock()
	select {
	case <-w.wake: // it isn't in the queue any more
		if ctx.Err() == nil {
			return nil
		}
		h.wakeLocked(1)
	default:
		h.queue.Remove(place)
		h.tidyLocked()
	}
	return &HandshakeError{Reason: h.fullReasonLocked(), Err: fmt.Errorf("%w: %w", ErrNoStream, ctx.Err())}
}

// fullReasonLocked says what a Dial has waited for.
func (h *muxHost) fullReasonLocked() string {
	if most := h.mux.MaxConns; most > 0 && len(h.conns) >= most {
		return fmt.Sprintf("all streams of %d connections, which Mux.MaxConns allows, are in use", most)
	}
	return "the server allows no streams"
}

// wakeLocked wakes the first n Dials of the queue.
func (h *muxHost) wakeLocked(n int) {
	for ; n > 0 && h.queue.Len() > 0; n-- {
		close(h.queue.Remove(h.queue.Front()).(*muxWaiter).wake)
	}
}

// opened is called when a connection is dialled and its server speaks RFC 8441. It returns false if
// nobody wants it any more.
func (c *muxConn) opened(s muxSession) bool {
	h := c.host
	m := h.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if !c.isDialling() {
		return false
	}
	c.session, c.state, c.lastUsed = s, muxConnOpen, time.Now()
	h.limit = max(s.Room(), 1) // the next one will have as much
	m.conns[c] = struct{}{}
	close(c.done)
	c.updateLocked()
	return true
}

// endDialLocked ends the dialling of a connection that doesn't become open.
func (c *muxConn) endDialLocked() {
	c.state = muxConnClosed
	close(c.done)
	c.host.removeLocked(c)
}

// failed is called when dialling has failed.
func (c *muxConn) failed(err error) {
	c.host.mux.mu.Lock()
	defer c.host.mux.mu.Unlock()
	if c.isDialling() {
		c.err = err
		c.endDialLocked()
	}
}

// avoidHTTP3 has the server not asked for HTTP/3 for a while.
func (c *muxConn) avoidHTTP3() {
	h := c.host
	h.mux.mu.Lock()
	defer h.mux.mu.Unlock()
	if !h.avoidsHTTP3Locked() {
		muxTasks.Add(fallbackMemory, fallbackCheck{weak.Make(h)})
	}
	h.noHTTP3Until = time.Now().Add(fallbackMemory)
}

// foundHTTP1 is called when the server has chosen HTTP/1.1, for conn if that isn't nil. It returns
// false if nobody takes conn.
func (c *muxConn) foundHTTP1(conn *http1Conn) bool {
	c.host.mux.mu.Lock()
	defer c.host.mux.mu.Unlock()
	c.host.rememberHTTP1Locked()
	if !c.isDialling() {
		return false
	}
	c.http1 = conn
	c.endDialLocked()
	return true
}

// rememberHTTP1Locked has the server asked for HTTP/1.1 for a while.
func (h *muxHost) rememberHTTP1Locked() {
	if !h.speaksHTTP1Locked() {
		muxTasks.Add(fallbackMemory, fallbackCheck{weak.Make(h)})
	}
	h.http1Until = time.Now().Add(fallbackMemory)
	h.wakeLocked(h.queue.Len())
}

// removeLocked removes a connection that takes no more streams from those of the host.
func (h *muxHost) removeLocked(c *muxConn) {
	if i := slices.Index(h.conns, c); i >= 0 {
		h.conns = slices.Delete(h.conns, i, i+1)
	}
	if i := slices.Index(h.spare, c); i >= 0 {
		h.spare = slices.Delete(h.spare, i, i+1)
	}
	h.wakeLocked(h.limit) // for whom another connection can be dialled
	h.tidyLocked()
}

// tidyLocked forgets a host of which there is nothing to remember.
func (h *muxHost) tidyLocked() {
	if len(h.conns) == 0 && h.queue.Len() == 0 && !h.speaksHTTP1Locked() && !h.avoidsHTTP3Locked() && h.mux.hosts[h.key] == h {
		delete(h.mux.hosts, h.key)
	}
}

// changed is called when the session has more or less room or streams than before, or has ended.
func (c *muxConn) changed() {
	c.host.mux.mu.Lock()
	defer c.host.mux.mu.Unlock()
	if c.session != nil {
		c.updateLocked()
	}
}

// updateLocked makes state, and what depends on it, agree with the session.
func (c *muxConn) updateLocked() {
	switch {
	case c.session.Err() != nil:
		c.closeLocked()
		return
	case c.state == muxConnOpen && c.session.GoingAway():
		c.drainLocked() // the session ends with its last stream
		return
	case c.state != muxConnOpen:
		return
	}
	if room := c.session.Room(); room > 0 {
		if !c.isSpare {
			c.isSpare = true
			c.host.spare = append(c.host.spare, c)
		}
		c.host.wakeLocked(room - c.claims)
	}
	if c.session.Streams() == 0 {
		c.lastUsed = time.Now()
		c.scheduleIdleCheckLocked()
	}
}

// drainLocked lets the connection take no more streams.
func (c *muxConn) drainLocked() {
	c.state = muxDraining
	c.host.removeLocked(c)
}

// closeLocked forgets a connection whose session has ended.
func (c *muxConn) closeLocked() {
	if c.state == muxConnOpen {
		c.drainLocked()
	}
	c.state = muxConnClosed
	delete(c.host.mux.conns, c)
	c.host.mux.signalDrainedLocked()
}

// stopLocked ends what waits, and returns the sessions.
func (m *Mux) stopLocked() []muxSession {
	for _, h := range m.hosts {
		h.wakeLocked(h.queue.Len())
		for _, c := range slices.Clone(h.conns) {
			if c.isDialling() {
				c.err = muxClosedError()
				c.cancel()
				c.endDialLocked()
			}
		}
	}
	for c := range m.conns {
		if c.state == muxConnOpen {
			c.drainLocked()
		}
	}
	return m.sessionsLocked()
}

func (m *Mux) sessionsLocked() []muxSession {
	sessions := make([]muxSession, 0, len(m.conns))
	for c := range m.conns {
		sessions = append(sessions, c.session)
	}
	return sessions
}

// signalDrainedLocked ends the calls of Shutdown that wait, if all connections are closed.
func (m *Mux) signalDrainedLocked() {
	if m.drained == nil || len(m.conns) > 0 {
		return
	}
	select {
	case <-m.drained:
	default:
		close(m.drained)
	}
}

// muxTasks runs what a Mux has to do at a time: all Muxes share one timer.
var muxTasks = timing.NewScheduler()

// scheduleIdleCheckLocked has the connection closed when it has had no stream for IdleTimeout.
func (c *muxConn) scheduleIdleCheckLocked() {
	if d := c.host.mux.idleTimeout(); d > 0 && !c.isTimed {
		c.isTimed = true
		muxTasks.Add(d, idleCheck{weak.Make(c)})
	}
}

// An idleCheck closes a connection if that has had no stream for IdleTimeout. It doesn't keep the
// connection in memory.
type idleCheck struct{ conn weak.Pointer[muxConn] }

// Run makes an idleCheck a timing.Task.
func (i idleCheck) Run() (next time.Duration) {
	c := i.conn.Value()
	if c == nil {
		return 0
	}
	next, retires := c.checkIdle()
	if retires {
		c.session.Shutdown()
	}
	return next
}

// checkIdle reports when to look at the connection again, 0 for not before it has lost its last
// stream, and whether it is to be shut down.
func (c *muxConn) checkIdle() (next time.Duration, retires bool) {
	m := c.host.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.state != muxConnOpen || c.session.Streams() > 0 {
		c.isTimed = false
		return 0, false
	}
	if left := m.idleTimeout() - time.Since(c.lastUsed); left > 0 || c.claims > 0 {
		return max(left, timing.Tick), false
	}
	c.drainLocked()
	return 0, true
}

// A fallbackCheck forgets a host when it need not be remembered any more.
type fallbackCheck struct{ host weak.Pointer[muxHost] }

// Run makes a fallbackCheck a timing.Task.
func (f fallbackCheck) Run() (next time.Duration) {
	h := f.host.Value()
	if h == nil {
		return 0
	}
	h.mux.mu.Lock()
	defer h.mux.mu.Unlock()
	switch {
	case h.speaksHTTP1Locked():
		return time.Until(h.http1Until)
	case h.avoidsHTTP3Locked():
		return time.Until(h.noHTTP3Until)
	}
	h.tidyLocked()
	return 0
}
