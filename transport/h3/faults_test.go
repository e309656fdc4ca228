package h3_test

import (
	"errors"
	"math/rand"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/h3"
)

func TestLostPacketsLoseNothing(t *testing.T) {
	s := newServer(t, echo)
	p := newProxy(t, s.addr)
	s.addr = p.addr()
	random := rand.New(rand.NewSource(1))
	p.lose(func() bool { return random.Intn(20) == 0 })
	var conns []*websock.Conn
	for range 5 {
		conns = append(conns, s.mustDial(t, websock.Config{}))
	}
	for i := range 20 {
		for _, c := range conns {
			wantEcho(t, c, strings.Repeat("x", i*500))
		}
	}
	for _, c := range conns {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost == 0 {
		t.Error("no packet was lost")
	}
}

// A NAT gives the client another port when it has forgotten the old one.
func TestTheClientsAddressChanges(t *testing.T) {
	s := newServer(t, echo)
	p := newProxy(t, s.addr)
	s.addr = p.addr()
	c := s.mustDial(t, websock.Config{})
	for range 3 {
		wantEcho(t, c, "here")
		p.moveClient(t)
		wantEcho(t, c, strings.Repeat("there", 10_000))
	}
	if stats := s.mux.Stats(); stats.Conns != 1 {
		t.Errorf("%+v", stats)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// listen serves HTTP/3 with a key for stateless resets.
func listen(t *testing.T, s *server, key *quic.StatelessResetKey) *net.UDPConn {
	udp := listenUDP(t)
	tr := &quic.Transport{Conn: udp, StatelessResetKey: key}
	l, err := tr.ListenEarly(s.http3.TLSConfig, s.http3.QUICConfig)
	if err != nil {
		t.Fatal(err)
	}
	go s.http3.ServeListener(l)
	t.Cleanup(func() { tr.Close() })
	return udp
}

// A server that was restarted does not know the connections, and can say so.
func TestARestartedServerEndsTheConnectionsAtOnce(t *testing.T) {
	before, after := newServer(t, echo), newServer(t, echo)
	key := &quic.StatelessResetKey{1, 2, 3}
	addrOf := func(udp *net.UDPConn) (p *net.UDPAddr) { return udp.LocalAddr().(*net.UDPAddr) }
	old, renewed := listen(t, before, key), listen(t, after, key)
	p := newProxy(t, addrOf(old).AddrPort())
	before.addr = p.addr()
	var conns []*websock.Conn
	for range 3 {
		c := before.mustDial(t, websock.Config{})
		wantEcho(t, c, "before")
		conns = append(conns, c)
	}
	p.moveServer(addrOf(renewed).AddrPort())
	conns[0].SendText([]byte("still there?"))
	for _, c := range conns {
		c.SetRecvDeadline(time.Now().Add(patience))
		_, _, err := c.RecvMessage(nil)
		var ended *h3.SessionError
		var reset *quic.StatelessResetError
		var shared *websock.SessionError
		if !errors.As(err, &ended) || !ended.Remote || !errors.As(err, &reset) || !errors.As(err, &shared) || !shared.Remote {
			t.Errorf("%v", err)
		}
	}
	before.config = after.config
	c := before.mustDial(t, websock.Config{})
	wantEcho(t, c, "after")
	c.Close()
}

// A peer that can't be reached any more is noticed by QUIC.
func TestASilentPeerIsNoticed(t *testing.T) {
	s := newServer(t, echo)
	p := newProxy(t, s.addr)
	s.addr = p.addr()
	s.mux = &websock.Mux{HTTP3: &h3.Dialer{Required: true, QUIC: &quic.Config{MaxIdleTimeout: 500 * time.Millisecond}}}
	defer s.mux.Close()
	c := s.mustDial(t, websock.Config{})
	wantEcho(t, c, "here")
	time.Sleep(time.Second) // the connection is kept alive meanwhile
	wantEcho(t, c, "still here")
	p.lose(func() bool { return true })
	_, _, err := c.RecvMessage(nil)
	var idle *quic.IdleTimeoutError
	if !errors.As(err, &idle) {
		t.Error(err)
	}
}

func TestWithoutHTTP3(t *testing.T) {
	for _, test := range []struct {
		name   string
		dialer *h3.Dialer
		want   bool // an error that says so
	}{
		{"HTTP/1.1 instead", &h3.Dialer{Timeout: 100 * time.Millisecond}, false},
		{"an error", &h3.Dialer{Timeout: 100 * time.Millisecond, Required: true}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTCPServer(t, echo)
			mux := &websock.Mux{HTTP3: test.dialer}
			defer mux.Close()
			for range 2 {
				c, err := s.dial(t, websock.Config{Mux: mux})
				if (err != nil) != test.want {
					t.Fatal(err)
				}
				if err == nil {
					wantEcho(t, c, "over TCP")
					c.Close()
				}
			}
		})
	}
}

func TestZeroRTTIsRefused(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		s := newServer(t, echo, func(s *http3.Server) {
			if allowed {
				s.QUICConfig = &quic.Config{Allow0RTT: true}
			}
		})
		config := s.target().TLS.Clone()
		config.ClientSessionCache = newTicketCache()
		for _, resumed := range []bool{false, true} {
			conn, err := quic.DialAddrEarly(t.Context(), s.addr.String(), config, nil)
			if err != nil {
				t.Fatal(err)
			}
			<-conn.HandshakeComplete()
			if got := conn.ConnectionState().Used0RTT; got != (allowed && resumed) {
				t.Errorf("allowed %v, resumed %v: used %v", allowed, resumed, got)
			}
			if !resumed {
				config.ClientSessionCache.(*ticketCache).await(t)
			}
			conn.CloseWithError(0, "")
		}
	}
}
