package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"golang.org/x/net/http2/hpack"
)

// A StreamDialer connects to servers over connections that carry many WebSockets, each as a stream of
// its own, such as those of HTTP/3 (RFC 9220). The field HTTP3 of websock.Mux has one; package
// transport/h3, a module of its own, provides it.
type StreamDialer interface {
	// DialStreams connects to a server, which must agree to extended CONNECT, before ctx ends. An
	// error that is ErrUnsupported says that the server was asked and can't be reached in this way,
	// but maybe in another: then the Mux uses HTTP/2 or HTTP/1.1, and for a while doesn't ask again.
	// After one that is ErrNotAsked it uses them, too, but only this time. Any other error is that of
	// the Dial.
	DialStreams(ctx context.Context, to StreamTarget) (StreamSession, error)
}

// ErrNotAsked is what DialStreams returns if it has not come to ask the server, and so has learned nothing of
// it: for example, because its name could not be looked up, or the network can't be used at present.
var ErrNotAsked = errors.New("websock: the server was not asked for streams")

// A StreamTarget says what a StreamDialer connects to, and how.
type StreamTarget struct {
	Host string // name or IP address, without brackets
	Port int

	// TLS has the server's name and the roots. It is shared, and must not be changed: NextProtos is
	// not that of the StreamDialer.
	TLS *tls.Config

	Source   net.Addr      // the local address, whose port doesn't count; nil: any
	Resolver *net.Resolver // looks up Host; nil: net.DefaultResolver

	// Patience is how long it may take to find out that the server can't be reached in this way, so that
	// the Dial has time left for another one. 0: as long as the StreamDialer thinks fit.
	Patience time.Duration

	MaxStreams     int // how many streams the StreamSession has at most at the same time
	MaxHeaderBytes int // of a response's header list (RFC 9114 section 4.2.2)
	Window         int // bytes that a stream receives before they are read; 0: a default

	// Changed is called, without locks, when what Room, Streams, GoingAway or Err return may have
	// changed. It may call these.
	Changed func()
}

// A StreamSession is a connection that carries streams. Its methods may be called from any goroutine.
type StreamSession interface {
	// OpenStream opens a stream with a request, whose pseudo-header fields come first, and returns it
	// when the head of its final response has come, whatever that says, or fails when ctx ends. If
	// Room was 0, the error is h2.ErrNoRoom of package transport/h2. If the server has certainly not
	// processed the request, so that it can be repeated on another connection, it is h2.ErrRefused.
	// The caller closes the Conn.
	OpenStream(ctx context.Context, fields []hpack.HeaderField) (Conn, StreamHead, error)

	Room() int       // how many more streams can be opened at present
	Streams() int    // how many are open, or being opened
	GoingAway() bool // whether no more streams will ever be opened
	Err() error      // why the session has ended, or nil

	// KeepAlive has the server asked for a sign of life when nothing was received from it for ping,
	// and the session closed with cause when nothing was received for timeout, both exact to a
	// quarter. 0 is none. If it is called several times, the shortest times and the first cause count.
	KeepAlive(ping, timeout time.Duration, cause error)

	// Shutdown lets no more streams be opened, and ends the session when all have ended. It doesn't
	// wait.
	Shutdown()

	// Close ends the session, and with it all streams, now. A cause that isn't nil is in the chain of
	// their errors.
	Close(cause error)
}

// A StreamHead is the head of the response on a stream.
type StreamHead struct {
	Fields    []hpack.HeaderField // the pseudo-header field first
	EndStream bool                // nothing follows
	Truncated bool                // the list is larger than StreamTarget.MaxHeaderBytes: Fields is its beginning
}

// An AnswerAwaiter is a Conn on which a server has to get the answer to its last message before it ends its
// direction: a stream, which its peer may take to be over in both directions when it ends in one, or a Conn
// whose CloseWrite does nothing.
type AnswerAwaiter interface {
	// AwaitsAnswer reports whether LingerForAnswer may be called. It always gives the same answer.
	AwaitsAnswer() bool

	// LingerForAnswer is Conn.Linger for a server. It ends, and CloseWrite is called, when what has
	// arrived ends with the answer, as isAnswer says. That looks at no more than 131 bytes, which is the
	// size of the largest close frame of a client.
	LingerForAnswer(d time.Duration, isAnswer func(payload []byte) bool) error
}
