package websock

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"unique"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
)

// A Conn is an open WebSocket connection. Sends may come from any goroutine at
// once. Receives come from one goroutine at a time, or from the transport when
// there is a Handler. Close may come from anywhere, any number of times; every
// Conn must be closed, also after an error, unless a Handler's OnClose was called.
type Conn struct {
	receive   receiveState
	batch     batchWriter
	enc       engine.Encoder // of frames to send; guarded by the lock of batch
	closing   engine.Closing // guarded by the lock of batch
	handshake unique.Handle[handshakeResult]
}

// NewConn returns a connection over a transport on which the opening handshake
// is done. The Conn owns t from now on. Attach makes a transport of a net.Conn.
func NewConn(t transport.Conn, role Role, o Options) *Conn {
	config := newConnConfig(&o)
	c := &Conn{handshake: newHandshakeResult(&o)}
	c.batch.t, c.batch.config = t, config
	c.batch.refuses = config.limits.WhenFull == QueueRefuses
	c.enc.Init(role, engine.NewPerMessageDeflate(o.Compression))
	return c
}

// Role returns the side that we play.
func (c *Conn) Role() Role { return c.enc.Role() }

func (c *Conn) limits() *Limits { return &c.batch.config.limits }

// Compression returns what was agreed with the peer; its zero value if messages aren't
// compressed.
func (c *Conn) Compression() Compression {
	if z := c.enc.Deflate(); z != nil {
		return *z.Agreed()
	}
	return Compression{}
}

// Err returns nil while messages can be sent, and else what a send would return: why the
// connection is over, or ends. A message that failed in the middle, see NextWriter, doesn't end
// it. It may be called from any goroutine.
func (c *Conn) Err() error {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.closing.SendErr()
}

// LocalAddr returns our address, as the transport knows it.
func (c *Conn) LocalAddr() net.Addr { return c.batch.t.LocalAddr() }

// RemoteAddr returns the peer's address, as the transport knows it.
func (c *Conn) RemoteAddr() net.Addr { return c.batch.t.RemoteAddr() }

// TLS returns the state of the TLS connection that carries this one: version, cipher suite,
// certificates of the peer, whether a session was resumed. It is nil if there is no TLS, or the
// transport doesn't know it: where TLS ends at a proxy, or below a net.Conn of the user's that
// has no method ConnectionState. Every call makes a new one. It may be called from any
// goroutine, also after Close.
func (c *Conn) TLS() *tls.ConnectionState {
	return c.batch.t.TLS()
}

// SetValue keeps a value of the user's with the connection, in place of the one before. A
// Handler that serves many connections finds there what belongs to this one. It may be called
// from any goroutine, also after Close.
func (c *Conn) SetValue(v any) {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.batch.ensureRare().value = v
}

// Value returns what SetValue was given last, or nil. It may be called from any goroutine.
func (c *Conn) Value() any {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.batch.rareOrZero().value
}

// Options says what NewConn needs to know beside the transport and the role. Its zero value is ready to use.
type Options struct {
	Limits Limits

	// Compression is what was agreed in the opening handshake.
	Compression Compression

	// Subprotocol is the one agreed in the opening handshake, or "".
	Subprotocol string

	// Recover is told of a panic of the Handler: v is what was given to panic. The connection
	// then ends, with a *HandlerError in OnClose, and with close code 1011 for the peer; the
	// process and the other connections go on. It is called by the goroutine that panicked,
	// whose stack runtime/debug.Stack shows, before OnClose, and with no lock held. It may be
	// called by several goroutines at once, for different connections.
	//
	// nil: a panic ends the process, as everywhere in Go.
	Recover func(c *Conn, v any)

	// OnPing, unless it is nil, is called with the payload of every ping received, at most
	// 125 bytes, valid until it returns. The ping is answered without it. It is called by the
	// goroutine that receives: from within a receive, or in its place between the calls of
	// OnData. It must not receive, and what it sends on c leaves with the answer.
	OnPing func(c *Conn, payload []byte)

	// RawHeader holds the header lines of the peer's opening handshake, each
	// "Name: value\r\n", as they came. It is copied.
	RawHeader []byte
}

// connConfig holds settings fixed for the life of a connection. Connections with equal settings
// share one.
type connConfig struct {
	limits        Limits              // with defaults
	decoderLimits engine.Limits       // those of them that the Decoder needs
	recover       func(*Conn, any)    // of Options
	onPing        func(*Conn, []byte) // of Options
}

// recentConfig is that of the last connection without functions.
var recentConfig atomic.Pointer[connConfig]

func newConnConfig(o *Options) *connConfig {
	limits := o.Limits.WithDefaults()
	shared := o.Recover == nil && o.OnPing == nil
	if recent := recentConfig.Load(); shared && recent != nil && recent.limits == limits {
		return recent
	}
	c := &connConfig{limits: limits, decoderLimits: limits.engineLimits(), recover: o.Recover, onPing: o.OnPing}
	if shared {
		recentConfig.Store(c)
	}
	return c
}

// A handshakeResult is what came out of the opening handshake. Connections that agreed on the
// same share it in memory.
type handshakeResult struct {
	subprotocol string
	header      string // lines, each with its end
}

func newHandshakeResult(o *Options) unique.Handle[handshakeResult] {
	return unique.Make(handshakeResult{o.Subprotocol, withoutNonce(string(o.RawHeader))})
}

// withoutNonce drops the header that differs in every handshake and has served its
// purpose.
func withoutNonce(header string) string {
	for start := 0; start < len(header); {
		line := header[start:]
		if end := strings.IndexByte(line, '\n'); end >= 0 {
			line = line[:end+1]
		}
		if name, _, _ := strings.Cut(line, ":"); isNonce(name) {
			return header[:start] + header[start+len(line):]
		}
		start += len(line)
	}
	return header
}

func isNonce(name string) bool {
	return strings.EqualFold(name, "Sec-WebSocket-Accept") || strings.EqualFold(name, "Sec-WebSocket-Key")
}

// Subprotocol returns the subprotocol agreed in the opening handshake, or "" (RFC
// 6455 section 1.9).
func (c *Conn) Subprotocol() string { return c.handshake.Value().subprotocol }

// HandshakeHeader returns the header of the peer's opening handshake: the
// server's answer in the client role, the client's request in the server role.
// Sec-WebSocket-Accept and Sec-WebSocket-Key, which have been checked, are left out.
// Every call makes a new one, since a connection keeps only its text.
func (c *Conn) HandshakeHeader() http.Header {
	lines := strings.NewReader(c.handshake.Value().header + "\r\n")
	header, err := textproto.NewReader(bufio.NewReader(lines)).ReadMIMEHeader()
	if err != nil {
		return http.Header{}
	}
	return http.Header(header)
}

// rareState holds what few connections need. It is allocated when one does. The lock of the
// batchWriter guards it.
type rareState struct {
	writeDone *sync.Cond     // signalled when a write ends; nil: nobody has waited
	writer    *messageWriter // of NextWriter; nil: none is open
	broken    error          // why the message under way will never end; nil: it may

	inFlight   *buffer.Buffer // the batch whose rest the transport writes
	ping       *buffer.Buffer // payload of the latest ping not answered yet
	pongSecond uint32         // the second in which pongs are counted
	pongs      uint32         // sent in that second

	deadlines deadlines

	value any // the user's
}

var zeroRare rareState

// rareOrZero returns the rare state, to be read only. The lock is held.
func (w *batchWriter) rareOrZero() *rareState {
	if w.rare == nil {
		return &zeroRare
	}
	return w.rare
}

// ensureRare returns the rare state, to be changed. The lock is held.
func (w *batchWriter) ensureRare() *rareState {
	if w.rare == nil {
		w.rare = &rareState{}
	}
	return w.rare
}
