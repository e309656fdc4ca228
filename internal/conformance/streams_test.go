package conformance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
)

// newStreams returns a network whose connections are the streams of one HTTP/2 connection for each role.
func newStreams(t *testing.T, factory transport.Factory, secure bool) *network {
	t.Helper()
	n := newNetwork(t, factory, secure)
	n.sessions = map[websock.Role]*session{}
	for _, role := range []websock.Role{websock.Client, websock.Server} {
		s, err := n.newSession(role)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.close)
		n.sessions[role] = s
	}
	return n
}

// A session is both ends of an HTTP/2 connection: ours, and that of a peer that uses nothing of this
// module.
type session struct {
	ours   *h2.Session
	opened chan *h2.Stream // by the peer
	peer   *http2Peer
}

func (n *network) newSession(role websock.Role) (*session, error) {
	conn, theirs, err := n.connect(role)
	if err != nil {
		return nil, err
	}
	theirs.SetDeadline(time.Time{})
	carrier, err := websock.Attach(n.factory, conn, nil)
	if err != nil {
		conn.Close()
		theirs.Close()
		return nil, err
	}
	s := &session{opened: make(chan *h2.Stream, 1), peer: newHTTP2Peer(theirs, role == websock.Server)}
	if role == websock.Client {
		s.ours, err = h2.NewClient(carrier, h2.Config{})
	} else {
		s.ours, err = h2.NewServer(carrier, h2.Config{Request: func(st *h2.Stream, _ h2.Head) {
			st.SendHead(accepted, false)
			s.opened <- st
		}})
	}
	return s, err
}

func (s *session) close() {
	s.ours.Close(http2.ErrCodeNo, nil)
	<-s.ours.Done()
	s.peer.conn.Close()
	<-s.peer.done
}

var (
	connect = []hpack.HeaderField{
		{Name: ":method", Value: "CONNECT"},
		{Name: ":protocol", Value: "websocket"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: "/"},
		{Name: ":authority", Value: hostName},
	}
	accepted = []hpack.HeaderField{{Name: ":status", Value: "200"}}
)

// open opens a stream, and returns both ends.
func (s *session) open() (ours *h2.Stream, peer net.Conn, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if s.peer.client {
		st, err := s.peer.open()
		if err != nil {
			return nil, nil, err
		}
		select {
		case ours = <-s.opened:
			return ours, st, nil
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	if ours, err = s.ours.Open(connect, false); err != nil {
		return nil, nil, err
	}
	if _, err = ours.Head(ctx); err != nil {
		return nil, nil, err
	}
	return ours, <-s.peer.opened, nil
}

// An http2Peer is an end of an HTTP/2 connection. It gives back all windows at once.
type http2Peer struct {
	conn   net.Conn
	client bool
	opened chan *peerStream // by the Session
	done   chan struct{}    // closed at the end

	mu      sync.Mutex
	changed *sync.Cond
	framer  *http2.Framer // of which another goroutine reads
	block   bytes.Buffer
	encoder *hpack.Encoder
	streams map[uint32]*peerStream
	nextID  uint32
	window  int64
	initial int64
	err     error
}

func newHTTP2Peer(conn net.Conn, client bool) *http2Peer {
	p := &http2Peer{
		conn: conn, client: client,
		opened: make(chan *peerStream, 1), done: make(chan struct{}),
		framer:  http2.NewFramer(conn, conn),
		streams: map[uint32]*peerStream{}, nextID: 1, window: 65535, initial: 65535,
	}
	p.changed = sync.NewCond(&p.mu)
	p.encoder = hpack.NewEncoder(&p.block)
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.framer.SetMaxReadFrameSize(1 << 20)
	go p.run()
	return p
}

// run reads frames until the connection ends.
func (p *http2Peer) run() {
	defer close(p.done)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client {
		io.WriteString(p.conn, http2.ClientPreface)
	}
	p.framer.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	if !p.client {
		p.mu.Unlock()
		_, err := io.ReadFull(p.conn, make([]byte, len(http2.ClientPreface)))
		p.mu.Lock()
		p.err = err
	}
	for p.err == nil {
		p.mu.Unlock()
		f, err := p.framer.ReadFrame()
		p.mu.Lock()
		if err != nil {
			p.err = err
			break
		}
		p.handleLocked(f)
		p.changed.Broadcast()
	}
	p.changed.Broadcast()
}

func (p *http2Peer) handleLocked(f http2.Frame) {
	st := p.streams[f.Header().StreamID]
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return
		}
		if window, ok := f.Value(http2.SettingInitialWindowSize); ok {
			for _, st := range p.streams {
				st.window += int64(window) - p.initial
			}
			p.initial = int64(window)
		}
		p.framer.WriteSettingsAck()
	case *http2.PingFrame:
		p.framer.WritePing(true, f.Data)
	case *http2.GoAwayFrame:
		p.err = io.EOF
	case *http2.MetaHeadersFrame:
		if st == nil {
			st = p.addLocked(f.StreamID)
			p.headersLocked(st.id, accepted)
			p.opened <- st
		}
	case *http2.DataFrame:
		if f.Length > 0 {
			p.framer.WriteWindowUpdate(0, f.Length)
		}
		if st == nil {
			return
		}
		st.in = append(st.in, f.Data()...)
		st.ended = st.ended || f.StreamEnded()
		if f.Length > 0 && !st.ended {
			p.framer.WriteWindowUpdate(st.id, f.Length)
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			p.window += int64(f.Increment)
		} else if st != nil {
			st.window += int64(f.Increment)
		}
	case *http2.RSTStreamFrame:
		if st != nil {
			st.reset = http2.StreamError{StreamID: st.id, Code: f.ErrCode}
			delete(p.streams, st.id)
		}
	}
}

func (p *http2Peer) addLocked(id uint32) *peerStream {
	st := &peerStream{peer: p, id: id, window: p.initial}
	p.streams[id] = st
	return st
}

func (p *http2Peer) headersLocked(id uint32, fields []hpack.HeaderField) {
	p.block.Reset()
	for _, f := range fields {
		p.encoder.WriteField(f)
	}
	p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block.Bytes(), EndHeaders: true})
}

// open opens a stream, and doesn't wait for the answer.
func (p *http2Peer) open() (*peerStream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, p.err
	}
	st := p.addLocked(p.nextID)
	p.nextID += 2
	p.headersLocked(st.id, connect)
	return st, nil
}

// A peerStream is a stream of an http2Peer as a net.Conn.
type peerStream struct {
	peer   *http2Peer
	id     uint32
	in     []byte
	ended  bool // by the Session
	closed bool // by us
	window int64
	reset  error
	timer  *time.Timer
	late   bool // the deadline has passed
}

// waitLocked waits for a change, or returns why nothing will change.
func (st *peerStream) waitLocked() error {
	switch {
	case st.reset != nil:
		return st.reset
	case st.peer.err != nil:
		return st.peer.err
	case st.late:
		return os.ErrDeadlineExceeded
	}
	st.peer.changed.Wait()
	return nil
}

func (st *peerStream) Read(b []byte) (int, error) {
	p := st.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if len(st.in) > 0 {
			n := copy(b, st.in)
			st.in = st.in[n:]
			return n, nil
		}
		if st.ended {
			return 0, io.EOF
		}
		if err := st.waitLocked(); err != nil {
			return 0, err
		}
	}
}

func (st *peerStream) Write(b []byte) (n int, err error) {
	p := st.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	for n < len(b) {
		if st.closed {
			return n, net.ErrClosed
		}
		most := min(int64(len(b)-n), st.window, p.window, 16<<10)
		if most <= 0 || st.reset != nil || p.err != nil {
			if err := st.waitLocked(); err != nil {
				return n, err
			}
			continue
		}
		st.window -= most
		p.window -= most
		if err := p.framer.WriteData(st.id, false, b[n:n+int(most)]); err != nil {
			return n, err
		}
		n += int(most)
	}
	return n, nil
}

// CloseWrite sends END_STREAM.
func (st *peerStream) CloseWrite() error {
	st.peer.mu.Lock()
	defer st.peer.mu.Unlock()
	if st.closed || st.reset != nil {
		return nil
	}
	st.closed = true
	return st.peer.framer.WriteData(st.id, true, nil)
}

// Close ends the stream properly if the Session has ended it, and resets it if not.
func (st *peerStream) Close() error {
	p := st.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	if st.timer != nil {
		st.timer.Stop()
	}
	if p.streams[st.id] != st {
		return nil
	}
	delete(p.streams, st.id)
	switch {
	case st.ended && st.closed:
		return nil
	case st.ended:
		st.closed = true
		return p.framer.WriteData(st.id, true, nil)
	}
	st.closed = true
	st.reset = errors.New("closed")
	return p.framer.WriteRSTStream(st.id, http2.ErrCodeCancel)
}

func (st *peerStream) SetDeadline(t time.Time) error {
	p := st.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	st.timer = time.AfterFunc(time.Until(t), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		st.late = true
		p.changed.Broadcast()
	})
	return nil
}

func (st *peerStream) SetReadDeadline(t time.Time) error  { return st.SetDeadline(t) }
func (st *peerStream) SetWriteDeadline(t time.Time) error { return st.SetDeadline(t) }
func (st *peerStream) LocalAddr() net.Addr                { return st.peer.conn.LocalAddr() }
func (st *peerStream) RemoteAddr() net.Addr               { return st.peer.conn.RemoteAddr() }
