package h3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/liveness"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
)

// A sessionState is where a session is in its life.
type sessionState uint8

const (
	sessionOpen    sessionState = iota
	sessionDrains               // takes no more streams, and ends with the last one
	sessionClosing              // end was called, or quic-go has ended the connection
)

// A session is the client's end of a QUIC connection with HTTP/3.
type session struct {
	conn    *quic.Conn
	control *quic.SendStream // our control stream
	to      transport.StreamTarget

	seen            [streamQPACKDecoder + 1]atomic.Bool // types of streams that the server has opened
	settled         chan struct{}                       // closed when the server's settings have come, before
	extendedConnect bool                                // is read

	mu        sync.Mutex
	state     sessionState
	streams   int
	opening   map[*quic.Stream]struct{} // whose response has not come
	full      bool                      // the server allows no more streams at present
	spare     *quic.Stream              // the first that it has allowed since
	goAwayID  uint64                    // streams from this ID on are not processed
	keepAlive liveness.Watch
	cause     error // given to end
	err       error // why the connection has ended
}

// newSession begins HTTP/3 on a connection.
func newSession(conn *quic.Conn, to transport.StreamTarget) (*session, error) {
	s := &session{
		conn:     conn,
		to:       to,
		settled:  make(chan struct{}),
		opening:  map[*quic.Stream]struct{}{},
		goAwayID: math.MaxUint64,
	}
	if err := s.sendSettings(); err != nil {
		return nil, err
	}
	go s.acceptStreams()
	context.AfterFunc(conn.Context(), s.ended)
	return s, nil
}

// awaitSettings waits for the server's settings. It returns whether they have extended CONNECT.
func (s *session) awaitSettings(ctx context.Context) (bool, error) {
	select {
	case <-s.settled:
		return s.extendedConnect, nil
	case <-s.conn.Context().Done():
		return false, sessionError(context.Cause(s.conn.Context()))
	case <-ctx.Done():
		return false, fmt.Errorf("the server's HTTP/3 settings did not come: %w", ctx.Err())
	}
}

// ended is called when the connection has ended.
func (s *session) ended() {
	err := s.withCause(sessionError(context.Cause(s.conn.Context())))
	s.mu.Lock()
	s.state, s.err = sessionClosing, err
	s.mu.Unlock()
	s.to.Changed()
}

// withCause returns an error of the connection with the cause that was given to end, if there was one.
func (s *session) withCause(err *SessionError) *SessionError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil || err.Remote {
		return err
	}
	return &SessionError{Code: err.Code, Err: s.cause}
}

// Err makes a session a transport.StreamSession.
func (s *session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Room makes a session a transport.StreamSession.
func (s *session) Room() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roomLocked()
}

func (s *session) roomLocked() int {
	if s.state != sessionOpen || s.full {
		return 0
	}
	return max(s.to.MaxStreams-s.streams, 0)
}

// Streams makes a session a transport.StreamSession.
func (s *session) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

// GoingAway makes a session a transport.StreamSession.
func (s *session) GoingAway() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state != sessionOpen
}

// goAway is called when the server will not process streams from an ID on. It returns false if the server
// has said less before. Those of them that wait for a response fail at once: the server need not reset them.
func (s *session) goAway(id uint64) bool {
	s.mu.Lock()
	larger := id > s.goAwayID
	s.goAwayID = min(s.goAwayID, id)
	var refused []*quic.Stream
	for str := range s.opening {
		if s.isRefusedLocked(str) {
			refused = append(refused, str)
		}
	}
	s.mu.Unlock()
	for _, str := range refused {
		cancel(str)
	}
	s.Shutdown()
	return !larger
}

// isRefusedLocked reports whether the server has said that it does not process a stream.
func (s *session) isRefusedLocked(str *quic.Stream) bool { return uint64(str.StreamID()) >= s.goAwayID }

// cancel resets a stream that isn't needed any more.
func cancel(str *quic.Stream) {
	str.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	str.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
}

// Shutdown makes a session a transport.StreamSession.
func (s *session) Shutdown() {
	s.mu.Lock()
	s.state = max(s.state, sessionDrains)
	isLast := s.streams == 0
	s.mu.Unlock()
	if isLast {
		s.end(http3.ErrCodeNoError, nil)
	}
	s.to.Changed()
}

// Close makes a session a transport.StreamSession.
func (s *session) Close(cause error) { s.end(http3.ErrCodeNoError, cause) }

// end ends the connection, for the reason cause unless that is nil.
func (s *session) end(code http3.ErrCode, cause error) {
	s.mu.Lock()
	if s.state != sessionClosing {
		s.state, s.cause = sessionClosing, cause
	}
	s.mu.Unlock()
	text := ""
	if v, ok := cause.(*violation); ok {
		text = v.rule
	}
	s.conn.CloseWithError(quic.ApplicationErrorCode(code), text)
}

// reserve takes the place of a stream, and the stream itself if one was allowed meanwhile.
func (s *session) reserve() (*quic.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return nil, notSent(s.err)
	case s.state == sessionClosing:
		return nil, notSent(&SessionError{Err: s.cause})
	case s.roomLocked() == 0:
		return nil, h2.ErrNoRoom
	}
	s.streams++
	spare := s.spare
	s.spare = nil
	return spare, nil
}

// notSent returns the error for a request that was not sent because of err.
func notSent(err error) error { return fmt.Errorf("%w: %w", h2.ErrRefused, err) }

// release gives the place of a stream back.
func (s *session) release() {
	s.mu.Lock()
	s.streams--
	isLast := s.streams == 0 && s.state == sessionDrains
	s.mu.Unlock()
	if isLast {
		s.end(http3.ErrCodeNoError, nil)
	}
	s.to.Changed()
}

// open opens a stream.
func (s *session) open() (*quic.Stream, error) {
	str, err := s.reserve()
	if str != nil || err != nil {
		return str, err
	}
	str, err = s.conn.OpenStream()
	if err == nil {
		return str, nil
	}
	var limit *quic.StreamLimitReachedError
	if errors.As(err, &limit) {
		s.awaitRoom()
		err = h2.ErrNoRoom
	} else {
		err = notSent(s.withCause(sessionError(err)))
	}
	s.release()
	return nil, err
}

// awaitRoom has the session be full until the server allows another stream.
func (s *session) awaitRoom() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return
	}
	s.full = true
	go func() {
		str, err := s.conn.OpenStreamSync(s.conn.Context())
		if err != nil {
			return // the connection has ended
		}
		s.mu.Lock()
		s.full, s.spare = false, str
		s.mu.Unlock()
		s.to.Changed()
	}()
}

// OpenStream makes a session a transport.StreamSession.
func (s *session) OpenStream(ctx context.Context, fields []hpack.HeaderField) (transport.Conn, transport.StreamHead, error) {
	str, err := s.open()
	if err != nil {
		return nil, transport.StreamHead{}, err
	}
	head, err := s.exchange(ctx, str, fields)
	if err != nil {
		cancel(str)
		s.release()
		return nil, transport.StreamHead{}, err
	}
	st := &stream{
		str:     str,
		ends:    str,
		session: s,
		abort:   s.violated,
		local:   s.conn.LocalAddr(),
		remote:  s.conn.RemoteAddr(),
		tls:     s.tls,
	}
	return newConn(st), head, nil
}

// exchange sends a request and receives the head of its response.
func (s *session) exchange(ctx context.Context, str *quic.Stream, fields []hpack.HeaderField) (transport.StreamHead, error) {
	stop := context.AfterFunc(ctx, func() { cancel(str) })
	s.beginOpening(str)
	defer s.endOpening(str)
	request, err := appendHeaders(nil, fields)
	if err == nil {
		_, err = str.Write(request)
	}
	var head transport.StreamHead
	if err == nil {
		head, err = readHead(str, s.to.MaxHeaderBytes)
	}
	switch {
	case !stop():
		return head, ctx.Err()
	case err == nil:
		return head, nil
	}
	return head, s.openError(str, err)
}

// beginOpening has a stream cancelled if the server says that it does not process it.
func (s *session) beginOpening(str *quic.Stream) {
	s.mu.Lock()
	s.opening[str] = struct{}{}
	refused := s.isRefusedLocked(str)
	s.mu.Unlock()
	if refused {
		cancel(str)
	}
}

// endOpening undoes beginOpening.
func (s *session) endOpening(str *quic.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.opening, str)
}

// openError returns the error for one of a stream before its response.
func (s *session) openError(str *quic.Stream, err error) error {
	var v *violation
	if errors.As(err, &v) {
		err = s.violated(v)
	}
	err = streamError(err)
	var ended *SessionError
	if errors.As(err, &ended) {
		err = s.withCause(ended)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isRefusedLocked(str) {
		return fmt.Errorf("%w: %w", h2.ErrRefused, err)
	}
	return err
}

// tls returns the state of the TLS connection.
func (s *session) tls() tls.ConnectionState { return s.conn.ConnectionState().TLS }
