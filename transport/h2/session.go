package h2

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/liveness"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
)

// Defaults and bounds, in bytes unless they say otherwise.
const (
	// DefaultWindow is the receive window of a stream where Config.Window is 0.
	DefaultWindow = 256 << 10

	// DefaultMaxStreams is how many streams a server allows where Config.MaxStreams is 0.
	DefaultMaxStreams = 250

	// DefaultMaxHeaderBytes bounds a header list where Config.MaxHeaderBytes is 0.
	DefaultMaxHeaderBytes = 64 << 10

	// leastConnWindow and mostConnWindow bound the receive window of a connection. What arrives is
	// refunded at once, since the windows of the streams bound what is kept; so that of the connection
	// only bounds what is under way. It should not be large, since what is sent on one stream waits
	// behind that, but it must be enough for connRate bytes a second.
	leastConnWindow = 256 << 10
	mostConnWindow  = 16 << 20
	connRate        = 128 << 20

	// defaultWindow is the window of a stream and of a connection before it is changed (RFC 9113
	// section 6.9.2).
	defaultWindow = 65535

	// maxFrame is the largest frame that is received: SETTINGS_MAX_FRAME_SIZE.
	maxFrame = 64 << 10

	// roomBeforeSettings is how many streams a client may open before the peer's SETTINGS say so
	// (RFC 9113 section 6.5.2 recommends no less than 100).
	roomBeforeSettings = 100
)

// A Config has the parameters of a Session. Its zero value is ready to use for a client.
type Config struct {
	// Window is how many bytes of a stream are received before they are consumed (RFC 9113 section
	// 5.2), at least 1. A stream that is paused, or not read, holds as many at most, so a Session
	// holds at most Window bytes for each of its streams. 0: DefaultWindow.
	Window int

	// ConnWindow is how many bytes of all streams together the peer may have under way, at least 65535
	// (RFC 9113 section 6.9.1). Those that have arrived don't count. 0: from 256 KiB to 16 MiB, enough
	// for 128 MiB a second by the round-trip time at the beginning.
	ConnWindow int

	// MaxStreams is how many streams may be open at once (RFC 9113 section 5.1.2): in the server role
	// what the client is told, and DefaultMaxStreams if it is 0; in the client role how many Open
	// opens even if the server allows more, and 0 is no limit.
	MaxStreams int

	// MaxHeaderBytes bounds the header list of a request, a response or a trailer, as RFC 9113
	// section 6.5.2 counts it. 0: DefaultMaxHeaderBytes.
	MaxHeaderBytes int

	// Request is called with each request that a client sends, in the server role. It is called on
	// the goroutine that reads, with no lock held, and must not block.
	Request func(st *Stream, h Head)

	// Changed, unless nil, is called when Room or Streams may have changed, and when the Session has
	// ended. It is called by any goroutine, with no lock held, and must not block.
	Changed func(s *Session)

	// Trace, unless nil, is called with each frame that was sent or received, in order, by one goroutine
	// at a time and with no lock held. Frames that come while it is called are kept for the next calls.
	Trace func(f Frame)

	// PrefaceRead says that the client's connection preface (RFC 9113 section 3.4) was already read
	// from the carrier, without the SETTINGS frame that follows it. It is for the server role.
	PrefaceRead bool
}

func (c *Config) setDefaults(client bool) {
	if c.Window <= 0 {
		c.Window = DefaultWindow
	}
	c.Window = min(c.Window, math.MaxInt32)
	if c.ConnWindow > 0 {
		c.ConnWindow = min(max(c.ConnWindow, defaultWindow), math.MaxInt32)
	}
	if c.MaxStreams <= 0 && !client {
		c.MaxStreams = DefaultMaxStreams
	}
	if c.MaxHeaderBytes <= 0 {
		c.MaxHeaderBytes = DefaultMaxHeaderBytes
	}
}

// A Head is the header of a request or a response.
type Head struct {
	Fields    []hpack.HeaderField // pseudo-header fields first
	EndStream bool                // nothing follows
	Truncated bool                // the list exceeds Config.MaxHeaderBytes: Fields has its beginning
}

// Settings are what the peer has announced (RFC 9113 section 6.5.2, RFC 8441 section 3).
type Settings struct {
	MaxStreams      uint32 // SETTINGS_MAX_CONCURRENT_STREAMS; math.MaxUint32 if there is no limit
	ExtendedConnect bool   // SETTINGS_ENABLE_CONNECT_PROTOCOL
	Window          uint32 // SETTINGS_INITIAL_WINDOW_SIZE, bytes
	MaxFrame        uint32 // SETTINGS_MAX_FRAME_SIZE, bytes
}

// A Session is an HTTP/2 connection (RFC 9113). Its methods may be called from any goroutine.
//
// The carrier calls the Session when bytes arrive, and the Session calls the Receivers of its
// streams, one after another: a turn. What the streams send during a turn is written at its end,
// together. A Session has no goroutine and no timer of its own.
type Session struct {
	carrier transport.Conn
	pusher  transport.Pusher // the carrier
	queue   transport.Queue  // the carrier
	config  Config
	client  bool
	ready   chan struct{} // closed with the peer's first SETTINGS, or at the end
	done    chan struct{} // closed after the end, when the carrier is left

	parser parser // of the goroutine that reads
	turn   turn

	received atomic.Uint64 // bytes

	mu      sync.Mutex // of the fields below, and of all streams
	streams map[uint32]*Stream
	out     output
	phase   phase
	err     *SessionError // why the Session has ended
	goAway  *SessionError // what the peer's GOAWAY says; nil: none has come
	peer    Settings
	nextID  uint32 // client: of the next stream
	lastID  uint32 // of the peer's last stream
	peak    int    // most streams that were open at once

	settingsSent  timing.Instant
	settingsAcked bool  // the peer has acknowledged our SETTINGS
	connWindow    int   // the receive window of the connection
	recvWindow    int64 // what the peer may still send
	unrefunded    int64 // what it has sent of it, and gets back

	scheduled runQueue  // whose Receivers are to be called without an arrival
	overdue   []*Stream // whose deadlines have passed during the turn
	notes     notes
	tracing   bool // a goroutine calls Config.Trace
	recent    recentResets
	nuisance  nuisance
	keepAlive liveness.Watch
}

// A phase is how far the life of a Session has come.
type phase uint8

const (
	running  phase = iota
	leaving        // server role: a GOAWAY was sent, and the client may not have got it yet
	draining       // no more streams are opened: a GOAWAY was sent and answered, or received
	ended          // nothing is sent or received any more
)

// NewClient begins a Session in the client role over carrier, which it owns from now on. It sends the
// connection preface and doesn't wait for the peer's: see Settings.
//
// The carrier must be a transport.Pusher and a transport.Queue, and not have a Receiver yet; if it
// isn't, NewClient returns transport.ErrUnsupported. After an error the carrier is closed.
func NewClient(carrier transport.Conn, c Config) (*Session, error) {
	return newSession(carrier, c, true)
}

// NewServer begins a Session in the server role over carrier, as NewClient does. c.Request must be
// set.
func NewServer(carrier transport.Conn, c Config) (*Session, error) {
	return newSession(carrier, c, false)
}

func newSession(carrier transport.Conn, c Config, client bool) (*Session, error) {
	pusher, pushes := carrier.(transport.Pusher)
	queue, queues := carrier.(transport.Queue)
	if !pushes || !queues {
		carrier.Close()
		return nil, transport.ErrUnsupported
	}
	c.setDefaults(client)
	s := &Session{
		carrier: carrier, pusher: pusher, queue: queue,
		config:  c,
		client:  client,
		ready:   make(chan struct{}),
		done:    make(chan struct{}),
		streams: map[uint32]*Stream{},
		peer:    Settings{MaxStreams: math.MaxUint32, Window: defaultWindow, MaxFrame: minMaxFrame},
		nextID:  1,
	}
	s.connWindow = cmp.Or(c.ConnWindow, leastConnWindow)
	s.recvWindow = int64(s.connWindow)
	s.nuisance.init(c.MaxStreams)
	s.out.init(s)
	s.parser.init(s)
	s.lock()
	s.out.begin()
	s.flushLocked()
	s.unlock()
	if err := pusher.Push((*receiver)(s)); err != nil {
		s.lock()
		s.endLocked(&SessionError{Err: err})
		s.turn.orphaned = true
		s.unlock()
		carrier.Close()
		return nil, err
	}
	return s, nil
}

// Settings waits for the peer's SETTINGS frame and returns what the peer has announced last. The error
// is that of ctx, or a *SessionError if the Session has ended.
func (s *Session) Settings(ctx context.Context) (Settings, error) {
	select {
	case <-s.ready:
	case <-ctx.Done():
		return Settings{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return Settings{}, s.err
	}
	return s.peer, nil
}

// Open opens a stream with a request, in the client role, and doesn't wait for the response: see
// Stream.Head. fields are the pseudo-header fields, and then the others, with names in lower case.
// If Room is 0 it sends nothing and returns ErrNoRoom. If the Session has ended the error is that of
// Err.
func (s *Session) Open(fields []hpack.HeaderField, endStream bool) (*Stream, error) {
	s.lock()
	defer s.unlock()
	switch {
	case s.err != nil:
		return nil, s.err
	case s.roomLocked() <= 0:
		return nil, ErrNoRoom
	}
	st := s.newStreamLocked(s.nextID)
	st.rare = &rare{opening: &opening{arrived: make(chan struct{})}}
	s.nextID += 2
	s.notes.changed = true
	s.out.writeHead(st, fields, endStream)
	if endStream {
		s.endSentLocked(st)
	}
	s.commitLocked()
	if s.phase == running && s.nextID > math.MaxInt32 { // it can't open another stream ever (RFC 9113 section 5.1.1)
		s.drainLocked()
	}
	return st, nil
}

// newStreamLocked adds a stream.
func (s *Session) newStreamLocked(id uint32) *Stream {
	st := &Stream{s: s, id: id, sendWindow: int64(s.peer.Window), recvWindow: int64(s.initialRecvWindowLocked())}
	s.streams[id] = st
	s.peak = max(s.peak, len(s.streams))
	return st
}

// initialRecvWindowLocked returns how much the peer may send on a new stream. Until it has
// acknowledged our SETTINGS, it may not know of a window below the default.
func (s *Session) initialRecvWindowLocked() int {
	if s.settingsAcked {
		return s.config.Window
	}
	return max(s.config.Window, defaultWindow)
}

// Room returns how many more streams Open can open at present: as many as the peer and
// Config.MaxStreams allow, and 0 when the Session is going away or has ended. Before the peer's
// SETTINGS it allows 100.
func (s *Session) Room() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.roomLocked(), 0)
}

func (s *Session) roomLocked() int {
	if s.phase != running || !s.client || s.nextID > math.MaxInt32 || s.out.size() > mostPendingHeads {
		return 0
	}
	most := min(s.peer.MaxStreams, math.MaxInt32)
	if !s.hasSettingsLocked() {
		most = roomBeforeSettings
	}
	if own := s.config.MaxStreams; own > 0 {
		most = uint32(min(int64(most), int64(own)))
	}
	return int(int64(most) - int64(len(s.streams)))
}

// hasSettingsLocked reports whether the peer's SETTINGS have come.
func (s *Session) hasSettingsLocked() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// Streams returns how many streams are open.
func (s *Session) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// Err returns nil, or why the Session has ended: a *SessionError.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return nil
	}
	return s.err
}

// Done returns a channel that is closed after the Session has ended, when it has left its carrier: that
// is closed, or it lingers without a goroutine. Until then what was sent last, such as a GOAWAY frame,
// may be on its way, so a program that closes the socket itself should wait.
func (s *Session) Done() <-chan struct{} { return s.done }

// GoingAway reports whether no more streams can be opened, since a GOAWAY was sent or received or the
// Session has ended.
func (s *Session) GoingAway() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase != running
}

// Shutdown tells the peer to open no more streams (GOAWAY with NO_ERROR, RFC 9113 section 6.8), and
// ends the Session when the streams that are open have ended. It doesn't wait for that. A client that
// has sent requests meanwhile gets these answered.
func (s *Session) Shutdown() {
	s.lock()
	defer s.unlock()
	if s.phase != running {
		return
	}
	s.notes.changed = true
	if s.client {
		s.drainLocked()
		return
	}
	s.phase = leaving
	s.out.writeGoAway(math.MaxInt32, http2.ErrCodeNo, "")
	s.out.writePing(false, shutdownPing)
	s.commitLocked()
	s.uncorkWaiterLocked()
}

// drainLocked tells the peer which of its streams is the last.
func (s *Session) drainLocked() {
	s.phase = draining
	s.out.writeGoAway(s.lastID, http2.ErrCodeNo, "")
	s.commitLocked()
	s.uncorkWaiterLocked()
	s.endIfDrainedLocked()
}

// Close ends the Session now, with a GOAWAY frame that has this code if it can be sent without waiting.
// The streams end with a *SessionError that has cause in its chain; nil means net.ErrClosed. Close
// neither waits nor calls a Receiver.
func (s *Session) Close(code http2.ErrCode, cause error) {
	if cause == nil {
		cause = net.ErrClosed
	}
	s.lock()
	defer s.unlock()
	s.closeLocked(&SessionError{Code: code, Err: cause})
}

// closeLocked ends the Session with a GOAWAY frame.
func (s *Session) closeLocked(err *SessionError) {
	if s.phase == ended {
		return
	}
	s.out.writeGoAway(s.lastID, err.Code, err.Rule)
	s.flushLocked()
	s.endLocked(err)
	s.out.stop()
	s.carrier.Close()
}

// violatedLocked ends the Session because of what the peer has done. The peer gets a GOAWAY frame, and
// time to read it.
func (s *Session) violatedLocked(err *SessionError) {
	if s.phase == ended {
		return
	}
	s.out.writeGoAway(s.lastID, err.Code, err.Rule)
	s.endGentlyLocked(err)
}

// endIfDrainedLocked ends a Session that is going away, has no more streams, and has passed to the
// carrier what they have sent.
func (s *Session) endIfDrainedLocked() {
	if s.phase == draining && len(s.streams) == 0 && s.out.size() == 0 && s.out.state != writing {
		s.endGentlyLocked(s.causeLocked(net.ErrClosed))
	}
}

// causeLocked returns the error of a Session that has ended because of err. A failure to send, and a
// GOAWAY that came before, say more about the reason. When the Session is going away and has no
// streams, either side may be the first to close the connection.
func (s *Session) causeLocked(err error) *SessionError {
	switch {
	case s.out.err != nil:
		err = s.out.err
	case s.phase != running && len(s.streams) == 0:
		err = net.ErrClosed
	}
	ended := &SessionError{}
	if s.goAway != nil {
		*ended = *s.goAway
	}
	ended.Err = err
	return ended
}

// endGentlyLocked ends the Session and has the carrier's goroutine close the carrier when what was
// sent is delivered.
func (s *Session) endGentlyLocked(err *SessionError) {
	s.endLocked(err)
	s.flushLocked()
	s.wakeLocked()
}

// endLocked ends all streams with err, and has their Receivers called.
func (s *Session) endLocked(err *SessionError) {
	if s.phase == ended {
		return
	}
	if errors.Is(err.Err, io.EOF) {
		err.Err = io.ErrUnexpectedEOF
	}
	s.phase, s.err = ended, err
	streams := s.streams
	s.streams = nil
	for _, st := range streams {
		st.failLocked(err)
	}
	if !s.hasSettingsLocked() {
		close(s.ready)
	}
	s.notes.changed = true
}

// removeLocked removes a stream that has ended in both directions.
func (s *Session) removeLocked(st *Stream) {
	if s.streams[st.id] != st {
		return
	}
	delete(s.streams, st.id)
	s.notes.changed = true
	s.endIfDrainedLocked()
}

// LocalAddr returns the carrier's local address.
func (s *Session) LocalAddr() net.Addr { return s.carrier.LocalAddr() }

// RemoteAddr returns the carrier's remote address.
func (s *Session) RemoteAddr() net.Addr { return s.carrier.RemoteAddr() }

// TLS returns the state of the carrier's TLS connection, or nil if there is none.
func (s *Session) TLS() *tls.ConnectionState { return s.carrier.TLS() }

func (s *Session) lock() { s.mu.Lock() }

// unlock unlocks, and then makes the calls that had to wait for that.
func (s *Session) unlock() {
	if !s.notes.any() {
		s.mu.Unlock()
		return
	}
	n := s.notes
	s.notes = notes{frames: n.frames}
	traces := len(n.frames) > 0 && !s.tracing && !s.out.isCorked() // or Flush does it
	s.tracing = s.tracing || traces
	s.mu.Unlock()
	if traces {
		s.trace()
	}
	n.call(s)
}

// trace calls Config.Trace for all frames that there are.
func (s *Session) trace() {
	over := false
	defer func() {
		if !over { // Trace has ended the goroutine
			s.mu.Lock()
			s.tracing = false
			s.mu.Unlock()
		}
	}()
	for !over {
		s.mu.Lock()
		frames := s.notes.frames
		s.notes.frames = nil
		over = len(frames) == 0
		s.tracing = !over
		s.mu.Unlock()
		for _, f := range frames {
			s.config.Trace(f)
		}
	}
}

// notes are calls that must not be made with the lock held.
type notes struct {
	changed bool    // Config.Changed
	frames  []Frame // Config.Trace, which the goroutine that is tracing takes
	ends    []endNote
}

// An endNote is a call of a function of Stream.OnEnd.
type endNote struct {
	f   func(error)
	err error
}

func (n *notes) any() bool { return n.changed || n.frames != nil || n.ends != nil }

func (n *notes) call(s *Session) {
	for _, e := range n.ends {
		e.f(e.err)
	}
	if n.changed && s.config.Changed != nil {
		s.config.Changed(s)
	}
}
