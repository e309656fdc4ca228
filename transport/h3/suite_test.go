package h3_test

import (
	"context"
	"crypto/tls"
	"flag"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h3"
	"github.com/seed004e8d11/websock/transport/transporttest"
)

func TestMain(m *testing.M) {
	flag.Set("test.parallel", "6") // unless the command line sets it: most tests only wait
	os.Exit(m.Run())
}

// A stream is tested as every other transport. There are many of them on each of a few connections, as in
// programs.
func TestTransport(t *testing.T) {
	pairs := newStreamPairs(t)
	transporttest.Suite{
		Factory:    streams{},
		Networks:   []string{"tcp"},
		TLS:        tls.VersionTLS13, // of sockets below that are not used
		Over:       pairs.over,
		Parallel:   !race.Enabled,
		EchoAllocs: 600, // of quic-go, for packets and frames
		NoPoll:     true,
		Goroutines: true, // quic-go has one when a stream of a server ends
	}.Run(t)
}

// streams is a Factory that carries the net.Conns of streamPairs.
type streams struct{}

func (streams) Attach(c net.Conn, early []byte) (transport.Conn, error) {
	st, ok := c.(testStream)
	if !ok {
		return nil, transport.ErrUnsupported
	}
	carried, _ := h3.Carry(st.Conn, early)
	return carried, nil
}

// A testStream is a stream as a test uses it for a peer.
type testStream struct{ net.Conn }

// CloseWrite ends the outgoing direction.
func (s testStream) CloseWrite() error { return s.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// SetLinger resets the stream, as Close does with a TCP connection after SetLinger(0).
func (s testStream) SetLinger(int) error {
	h3.Reset(s.Conn, 0x10c)
	return nil
}

// streamPairs makes streams of which it has both ends.
type streamPairs struct {
	t        *testing.T // that of all tests
	accepted chan transport.Conn
	server   *server

	mu       sync.Mutex
	sessions []transport.StreamSession
	streams  int
}

func newStreamPairs(t *testing.T) *streamPairs {
	p := &streamPairs{t: t, accepted: make(chan transport.Conn)}
	p.server = newServer(t, func(w http.ResponseWriter, r *http.Request) {
		taker, _ := handshake.StreamTakerOf[transport.Conn](w)
		c, err := taker.TakeStream(http.StatusOK, http.Header{})
		if err != nil {
			t.Error(err)
			return
		}
		p.accepted <- c
	})
	return p
}

// streamsPerSession is how many streams a connection has during its life.
const streamsPerSession = 50

// over returns the two ends of a stream.
func (p *streamPairs) over(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
	t.Helper()
	client.Close()
	server.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams%streamsPerSession == 0 {
		p.sessions = append(p.sessions, p.server.session(p.t))
	}
	p.streams++
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	near, _, err := p.sessions[len(p.sessions)-1].OpenStream(ctx, p.server.fields())
	if err != nil {
		t.Fatal(err)
	}
	far := <-p.accepted
	t.Cleanup(func() {
		h3.Reset(h3.StreamOf(near), 0x10c)
		near.Close()
		h3.Reset(h3.StreamOf(far), 0x10c)
		far.Close()
	})
	return testStream{h3.StreamOf(near)}, testStream{h3.StreamOf(far)}
}
