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

// A Conn is an open WebSocket connection.
//
// Any number of goroutines may send at once. Receives must come from one goroutine at a time; with
// a Handler, the transport receives. Close may be called from any goroutine, any number of times.
// Every Conn must be closed, even after an error, unless OnClose of its Handler was called.
type Conn struct {
	receive   receiveState
	batch     batchWriter
	enc       engine.Encoder // encodes frames to send; guarded by batch.mu
	handshake unique.Handle[handshakeResult]
}

// NewConn returns a connection over a transport, after the opening handshake. The Conn owns t.
// Attach makes a transport from a net.Conn.
func NewConn(t transport.Conn, role Role, o Options) *Conn {
	config := newConnConfig(&o, t)
	c := &Conn{handshake: newHandshakeResult(&o)}
	c.batch.t, c.batch.config = t, config
	c.batch.refuses = config.limits.WhenFull == QueueRefuses
	c.enc.Init(role, engine.NewPerMessageDeflate(o.Compression))
	return c
}

// Options are the parameters of NewConn besides the transport and the role. The zero value is ready
// to use.
type Options struct {
	Limits Limits

	// Compression is what was negotiated in the opening handshake.
	Compression Compression

	// Subprotocol is the one negotiated in the opening handshake, or "".
	Subprotocol string

	// Recover is called if the Handler panics, with the value given to panic. The connection then
	// ends with a *HandlerError in OnClose and close code 1011 for the peer; the process and the
	// other connections continue. Recover is called before OnClose, on the goroutine that panicked,
	// whose stack runtime/debug.Stack returns, and with no lock held. It may be called concurrently
	// for different connections.
	//
	// nil: a panic ends the process, as usual in Go.
	Recover func(c *Conn, v any)

	// OnPing, unless it is nil, is called with the payload of every received ping: at most 125
	// bytes, valid until OnPing returns. The ping is answered in any case. OnPing is called on the
	// goroutine that receives, within the receive, or between calls of OnData. It must not receive.
	// What it sends on c is written together with the pong.
	OnPing func(c *Conn, payload []byte)

	// OnPong is OnPing for received pongs, for instance to measure round-trip times. A peer may
	// send pongs that answer no ping, and may answer only the latest of several pings.
	OnPong func(c *Conn, payload []byte)

	// RawHeader holds the header lines of the peer's opening handshake, each "Name: value\r\n", as
	// received. It is copied.
	RawHeader []byte
}

// Role returns our side of the connection.
func (c *Conn) Role() Role { return c.enc.Role() }

// Compression returns the compression that was negotiated, or the zero value if messages aren't
// compressed.
func (c *Conn) Compression() Compression {
	if z := c.enc.Deflate(); z != nil {
		return *z.Agreed()
	}
	return Compression{}
}

// Subprotocol returns the subprotocol negotiated in the opening handshake, or "" (RFC 6455 section
// 1.9).
func (c *Conn) Subprotocol() string { return c.handshake.Value().subprotocol }

// HandshakeHeader returns the header of the peer's opening handshake: the response for a client,
// the request for a server. It lacks Sec-WebSocket-Accept and Sec-WebSocket-Key, which have been
// checked. Each call parses the header anew, as a connection keeps only its text.
func (c *Conn) HandshakeHeader() http.Header {
	lines := strings.NewReader(c.handshake.Value().header + "\r\n")
	header, err := textproto.NewReader(bufio.NewReader(lines)).ReadMIMEHeader()
	if err != nil {
		return http.Header{}
	}
	return http.Header(header)
}

// TLS returns the state of the TLS connection that carries this one: version, cipher suite, peer
// certificates, whether a session was resumed. It is nil without TLS, and if the transport can't
// tell: if TLS ends at a proxy, or in a net.Conn of the caller's without a ConnectionState method.
// Each call returns a new value. TLS may be called from any goroutine, even after Close.
func (c *Conn) TLS() *tls.ConnectionState {
	return c.batch.t.TLS()
}

// LocalAddr returns the local address, as the transport reports it.
func (c *Conn) LocalAddr() net.Addr { return c.batch.t.LocalAddr() }

// RemoteAddr returns the peer's address, as the transport reports it.
func (c *Conn) RemoteAddr() net.Addr { return c.batch.t.RemoteAddr() }

// Err returns nil while messages can be sent, and otherwise the error that a send would return: why
// the connection has ended or is being closed. A message that failed in the middle (see NextWriter)
// doesn't end the connection. Err may be called from any goroutine.
func (c *Conn) Err() error {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.closing().SendErr()
}

// SetValue stores a value of the caller's in the connection and replaces the previous one. A
// Handler that serves many connections can keep the state of each there. SetValue may be called
// from any goroutine, even after Close.
func (c *Conn) SetValue(v any) {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.batch.ensureRare().value = v
}

// Value returns the last value given to SetValue, or nil. It may be called from any goroutine.
func (c *Conn) Value() any {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.batch.rareOrZero().value
}

// connConfig holds settings fixed for the life of a connection. Connections with equal settings
// share one.
type connConfig struct {
	limits        Limits              // with defaults applied
	decoderLimits engine.Limits       // the part of limits that the Decoder needs
	writes        writeMode           // of the transport
	recover       func(*Conn, any)    // Options.Recover
	onPing        func(*Conn, []byte) // Options.OnPing
	onPong        func(*Conn, []byte) // Options.OnPong
}

func (c *Conn) limits() *Limits { return &c.batch.config.limits }

// queues reports whether the transport queues what the peer doesn't accept.
func (c *connConfig) queues() bool { return c.writes != writesWait }

// A writeMode is what a transport does with what the peer doesn't accept at once.
type writeMode uint8

const (
	writesWait  writeMode = iota // Writev waits for the peer
	writesQueue                  // Writev queues it
	writesBatch                  // likewise, and WriteBehind writes for several connections together
	writeModes
)

func writeModeOf(t transport.Conn) writeMode {
	if q, ok := t.(transport.Queue); !ok || !q.Queues() {
		return writesWait
	}
	if b, ok := t.(transport.Batcher); !ok || !b.Batches() {
		return writesQueue
	}
	return writesBatch
}

// recentConfigs has, for each writeMode, the connConfig created last that has no functions, for
// connections with the same limits to share.
var recentConfigs [writeModes]atomic.Pointer[connConfig]

func newConnConfig(o *Options, t transport.Conn) *connConfig {
	limits, writes := o.Limits.WithDefaults(), writeModeOf(t)
	recent, shared := &recentConfigs[writes], o.Recover == nil && o.OnPing == nil && o.OnPong == nil
	if c := recent.Load(); shared && c != nil && c.limits == limits {
		return c
	}
	c := &connConfig{
		limits: limits, decoderLimits: limits.engineLimits(),
		writes:  writes,
		recover: o.Recover, onPing: o.OnPing, onPong: o.OnPong,
	}
	if shared {
		recent.Store(c)
	}
	return c
}

// A handshakeResult is the result of the opening handshake. Connections with equal results share
// one.
type handshakeResult struct {
	subprotocol string
	header      string // lines, each with its line ending
}

func newHandshakeResult(o *Options) unique.Handle[handshakeResult] {
	return unique.Make(handshakeResult{o.Subprotocol, withoutNonce(string(o.RawHeader))})
}

// withoutNonce removes the header that is different in every handshake and no longer needed.
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

// rareState holds the state that few connections need. It is allocated when it is first needed. The
// lock of the batchWriter guards it.
type rareState struct {
	closing   engine.Closing
	value     any            // of SetValue
	ping      *buffer.Buffer // payload of the latest unanswered ping
	writeDone *sync.Cond     // signalled when a write ends; nil: no goroutine has waited yet
	deadlines deadlines

	writer     *messageWriter // the open writer of NextWriter, or nil
	broken     error          // why the current outgoing message can't be completed, or nil
	inFlight   *buffer.Buffer // the batch whose remainder the transport writes
	pongSecond uint32         // the second for which pongs are counted
	pongs      uint32         // number sent in that second
}

var zeroRare rareState

// rareOrZero returns the rare state, which must not be changed.
func (w *batchWriter) rareOrZero() *rareState {
	if w.rare == nil {
		return &zeroRare
	}
	return w.rare
}

// closing returns the state of the closing handshake, which must not be changed.
func (c *Conn) closing() *engine.Closing { return &c.batch.rareOrZero().closing }

// ensureRare returns the rare state and allocates it if necessary.
func (w *batchWriter) ensureRare() *rareState {
	if w.rare == nil {
		w.rare = &rareState{}
	}
	return w.rare
}
