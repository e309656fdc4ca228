package fuzz

import (
	"context"
	"errors"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/bounds"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A schedule is the faults of a link and the scripts of the two peers.
type schedule struct {
	clientFaults, serverFaults program
	clientScript, serverScript program
	options                    options
	transport                  websock.Transport
	http2                      bool // the connection is a stream of HTTP/2
}

// options are the options of both peers, in bits: one for each that says whether client and server
// are pushed, two for each of their receivers, then one each for compression, for low limits, and for
// compression without context takeover.
type options uint16

func (o options) clientReceiver() receiver { return receivers[o&1|o>>2&3<<1] }
func (o options) serverReceiver() receiver { return receivers[o>>1&1|o>>4&3<<1] }
func (o options) compresses() bool         { return o>>6&1 != 0 }
func (o options) lowLimits() bool          { return o>>7&1 != 0 }
func (o options) noTakeover() bool         { return o>>8&1 != 0 }

func (o options) compression() websock.Compression {
	if !o.compresses() {
		return websock.Compression{}
	}
	return websock.Compression{Level: 1, SendTakeover: !o.noTakeover(), RecvTakeover: !o.noTakeover(), SendWindowBits: 9, RecvWindowBits: 10}
}

// limits returns limits that no peer exceeds on receiving.
func (o options) limits() websock.Limits {
	l := websock.Limits{CloseTimeout: enough}
	if o.lowLimits() {
		l.SendQueue, l.PongRate = 4<<10, 2
	}
	return l
}

// limits returns those of both peers. A send over HTTP/2 never waits, so the queue has room for all.
func (s *schedule) limits() websock.Limits {
	l := s.options.limits()
	if s.http2 {
		l.SendQueue = math.MaxInt32
	}
	return l
}

// run plays the schedule to its end and checks what each peer may rely on.
func (s *schedule) run(t *testing.T) (client, server *peer) {
	l, near, far := newLink(s.clientFaults[:min(len(s.clientFaults), maxFaults)], s.serverFaults[:min(len(s.serverFaults), maxFaults)])
	client, server = s.play(t, l, near, far)
	time.Sleep(2 * enough) // goroutines that remain after that are leaked
	return client, server
}

// play is run over the two ends of a connection, which are those of l or have no faults.
func (s *schedule) play(t *testing.T, l *link, near, far net.Conn) (client, server *peer) {
	served := make(chan *peer)
	go func() { served <- s.serve(t, l, far) }()
	client = s.dial(t, l, near)
	server = <-served
	if client != nil && server != nil {
		checkPair(t, l, client, server)
	}
	return client, server
}

// dial plays the client, from the opening handshake to the end. It returns nil if the handshake
// failed.
func (s *schedule) dial(t *testing.T, l *link, e net.Conn) *peer {
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	open := s.open
	if s.http2 {
		open = s.openStream
	}
	conn, release := open(ctx, t, l, e)
	if conn == nil {
		return nil
	}
	defer release()
	p := newPeer(t, conn, s.clientScript, s.options.clientReceiver(), 4000)
	p.start()
	<-p.finished
	<-p.heard
	p.closeOnce()
	<-p.ended
	p.background.Wait()
	return p
}

// serve plays the server, which waits for the client to end the connection.
func (s *schedule) serve(t *testing.T, l *link, e net.Conn) *peer {
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	accept := s.accept
	if s.http2 {
		accept = s.acceptStream
	}
	conn, release := accept(ctx, t, l, e)
	if conn == nil {
		return nil
	}
	defer release()
	p := newPeer(t, conn, s.serverScript, s.options.serverReceiver(), 4001)
	p.start()
	<-p.finished
	<-p.ended
	p.background.Wait()
	p.closeOnce()
	return p
}

// open performs the client's opening handshake. It returns nil if that failed. release is called at the
// end.
func (s *schedule) open(ctx context.Context, t *testing.T, l *link, e net.Conn) (c *websock.Conn, release func()) {
	result, err := handshake.Client(ctx, e, &handshake.Request{Host: "h", Compression: s.options.compression()})
	if !established(t, l, err) {
		return nil, nil
	}
	return s.connOf(t, e, websock.Client, result), func() {}
}

// accept is open for the server.
func (s *schedule) accept(ctx context.Context, t *testing.T, l *link, e net.Conn) (c *websock.Conn, release func()) {
	result, _, err := handshake.ServerConn(ctx, e, &handshake.ServerOptions{Compression: s.options.compression()})
	if !established(t, l, err) {
		return nil, nil
	}
	return s.connOf(t, e, websock.Server, result), func() {}
}

// openStream is open over HTTP/2.
func (s *schedule) openStream(ctx context.Context, t *testing.T, l *link, e net.Conn) (c *websock.Conn, release func()) {
	session, err := h2.NewClient(s.attach(t, e, nil), h2.Config{Window: streamWindow})
	var st *h2.Stream
	if err == nil {
		st, err = session.Open(connectFields, false)
	}
	if err == nil {
		_, err = st.Head(ctx)
	}
	release = func() { leave(session) }
	if !establishedStream(ctx, t, l, err) {
		release()
		return nil, nil
	}
	return websock.NewConn(st, websock.Client, websock.Options{Limits: s.limits(), Compression: s.options.compression()}), release
}

// streamWindow is small, so that streams have to wait.
const streamWindow = 3000

// acceptStream is accept over HTTP/2.
func (s *schedule) acceptStream(ctx context.Context, t *testing.T, l *link, e net.Conn) (c *websock.Conn, release func()) {
	opened := make(chan *h2.Stream, 1)
	session, err := h2.NewServer(s.attach(t, e, nil), h2.Config{Window: streamWindow, Request: func(st *h2.Stream, _ h2.Head) {
		st.SendHead([]hpack.HeaderField{{Name: ":status", Value: "200"}}, false)
		opened <- st
	}})
	if err != nil {
		t.Fatal(err)
	}
	var st *h2.Stream
	select {
	case st = <-opened:
	case <-session.Done():
		err = session.Err()
	case <-ctx.Done():
		err = ctx.Err()
	}
	release = func() { leave(session) }
	if !establishedStream(ctx, t, l, err) {
		release()
		return nil, nil
	}
	compression := s.options.compression()
	compression.SendWindowBits, compression.RecvWindowBits = compression.RecvWindowBits, compression.SendWindowBits
	return websock.NewConn(st, websock.Server, websock.Options{Limits: s.limits(), Compression: compression}), release
}

// leave waits for the end of a session whose streams have ended.
func leave(session *h2.Session) {
	session.Shutdown()
	select {
	case <-session.Done():
	case <-time.After(enough):
		session.Close(http2.ErrCodeNo, nil)
		<-session.Done()
	}
}

// establishedStream is established for a handshake over HTTP/2.
func establishedStream(ctx context.Context, t *testing.T, l *link, err error) bool {
	if err != nil {
		err = handshake.NoResponse(ctx, err)
	}
	return established(t, l, err)
}

// established reports whether a handshake succeeded, as it must without faults.
func established(t *testing.T, l *link, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
	case !errors.As(err, new(*websock.HandshakeError)):
		t.Errorf("%v is no documented error", err)
	case !l.broken && !l.early:
		t.Errorf("without a fault: %v", err)
	}
	return err == nil
}

func (s *schedule) connOf(t *testing.T, e net.Conn, role websock.Role, r *handshake.Result) *websock.Conn {
	return websock.NewConn(s.attach(t, e, r.Early), role, websock.Options{Limits: s.limits(), Compression: r.Compression})
}

func (s *schedule) attach(t *testing.T, e net.Conn, early []byte) transport.Conn {
	carried, err := websock.Attach(s.transport, e, early)
	if err != nil {
		t.Fatal(err)
	}
	return carried
}

// checkPair compares what both sides sent and received, and how each ended.
func checkPair(t *testing.T, l *link, client, server *peer) {
	l.mu.Lock() // an end may still be reading
	broken, early := l.broken, l.early
	l.mu.Unlock()
	works := !broken && !client.cut && !server.cut
	if works && !early && (client.timedOut() || server.timedOut()) {
		t.Errorf("closed with %v and %v, though the other side responded", client.closeErr, server.closeErr)
	}
	works = works && !client.timedOut() && !server.timedOut()
	client.checkReceived(server)
	server.checkReceived(client)
	client.checkEnds(server, works)
	server.checkEnds(client, works)
}

// checkReceived checks that p received the messages of the other side in order: all of them if its
// close frame arrived, else the first ones.
func (p *peer) checkReceived(from *peer) {
	sent := from.sent
	if from.failed != nil {
		sent = append(sent, *from.failed) // it may have been sent
	}
	got := slices.DeleteFunc(slices.Clone(p.got.messages), isEcho)
	checkPrefix(p.t, got, sent)
	echoes := slices.DeleteFunc(slices.Clone(p.got.messages), func(m message) bool { return !isEcho(m) })
	checkPrefix(p.t, echoes, from.echoes)
	if p.gotCloseOf(from) && (len(got) < len(from.sent) || len(echoes) < len(from.echoes)) {
		p.t.Errorf("received %d messages of %d and %d echoes of %d before %v",
			len(got), len(from.sent), len(echoes), len(from.echoes), p.got.err)
	}
	if p.got.ends != 1 {
		p.t.Errorf("OnClose was called %d times", p.got.ends)
	}
}

func isEcho(m message) bool { return strings.HasPrefix(m.payload, echoed) }

func checkPrefix(t *testing.T, got, sent []message) {
	if len(got) > len(sent) || !slices.Equal(got, sent[:len(got)]) {
		t.Errorf("received %d messages, %.300v\nsent %d, %.300v", len(got), got, len(sent), sent)
	}
}

// gotCloseOf reports whether receiving ended with the other side's close frame.
func (p *peer) gotCloseOf(other *peer) bool {
	closed := p.closed()
	return closed != nil && !closed.Local && closed.Code == other.closeCode
}

// closed returns the error that ended receiving, or nil if it is no *websock.CloseError.
func (p *peer) closed() (closed *websock.CloseError) {
	errors.As(p.got.err, &closed)
	return closed
}

// timedOut reports whether the other side did not complete the closing handshake in time.
func (p *peer) timedOut() bool {
	closed := p.closed()
	return errors.Is(p.closeErr, websock.ErrTimeout) || closed != nil && closed.Local && errors.Is(closed, websock.ErrTimeout)
}

// closedCleanly reports whether the peer's Handler was told that the other side completed the closing
// handshake that p began.
func (p *peer) closedCleanly() bool {
	closed := p.closed()
	return p.receiver.pushed && closed != nil && closed.Local && closed.Code == p.closeCode && closed.Err == websock.ErrClosed
}

// cutByServer reports whether a server without a Handler has ended the stream before the client began to
// close it: the server takes whatever arrives for the answer to its close frame.
func cutByServer(err error) bool {
	var reset *h2.StreamError
	return errors.As(err, &reset) && reset.Remote && reset.Code == http2.ErrCodeNo
}

// checkEnds checks that without faults the connection ends with the close code of one side, and that
// a side that closed cleanly is right: the other side got its close frame, and so everything.
func (p *peer) checkEnds(other *peer, works bool) {
	closed, others := p.closed(), other.closed()
	switch {
	case works && p.closeErr != nil && !cutByServer(p.closeErr):
		p.t.Errorf("closed with %v", p.closeErr)
	case works && (closed == nil || closed.Code != p.closeCode && closed.Code != other.closeCode):
		p.t.Errorf("ended with %v", p.got.err)
	case p.closedCleanly() && !other.gotCloseOf(p) && !(others != nil && others.Local):
		p.t.Errorf("%v closed cleanly, but the other side ended with %v", p.conn.Role(), other.got.err)
	}
}

// FuzzPair connects a client and a server over a link with faults of all kinds at any byte, from the
// opening handshake to the closing one, pulled and pushed. Messages must arrive as they were sent, in
// order, and all of them if the connection was closed cleanly; every error must be a documented one;
// and nothing may hang.
func FuzzPair(f *testing.F) {
	f.Add([]byte{}, []byte{}, []byte("\x03\x05Hello\x00\x02hi\xf2\x01x\x01"), []byte("\x04\x05World"), uint16(0))
	f.Add([]byte("\x08\x08\x08\x08\x08\x0c\x0c"), []byte("\x10\x18\x24\x0d\x0d\x0d"), []byte("\x03\x06Hello!\x01"), []byte("\x03\x02ab"), uint16(3))
	f.Add([]byte("\x00\x00\x00\x05\x00\x05\x05\x07"), []byte("\x00\x00\x00\x08\x10\x05\x0f"), []byte("\xf2\x01x"), []byte("\x04\x05World\x00"), uint16(1))
	f.Add([]byte("\x00\x00\x00\x00\x06"), []byte{}, []byte("\x03\x05Hello"), []byte("\x04\x05World\x00"), uint16(2))
	f.Add([]byte{}, []byte("\x00\x00\x00\x0e"), []byte("\x03\x05Hello"), []byte("\x04\x05World\x00"), uint16(3))
	f.Fuzz(func(t *testing.T, clientFaults, serverFaults, clientScript, serverScript []byte, bits uint16) {
		bounds.Check(t, 64<<20, func() {
			synctest.Test(t, func(t *testing.T) {
				s := schedule{clientFaults, serverFaults, clientScript, serverScript, options(bits), std.Transport(), false}
				s.run(t)
			})
		})
	})
}
