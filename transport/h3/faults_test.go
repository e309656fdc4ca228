package h3_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/h3"
)

// Packets are lost, sent twice, and overtaken by later ones, both ways.
func TestABadNetworkLosesNothing(t *testing.T) {
	for _, percent := range []int{1, 10} {
		t.Run(fmt.Sprint(percent, " %"), func(t *testing.T) {
			s := newServer(t, echo)
			p := newProxy(t, s.addr)
			s.addr = p.addr()
			random := rand.New(rand.NewSource(1))
			p.mu.Lock()
			p.loses = func() bool { return random.Intn(100) < percent }
			p.twice = p.loses
			p.late = func() time.Duration { return time.Duration(random.Intn(1000)) * time.Microsecond }
			p.mu.Unlock()
			var conns []*websock.Conn
			for range 5 {
				conns = append(conns, s.mustDial(t, websock.Config{}))
			}
			var exchanges sync.WaitGroup
			for i, c := range conns {
				exchanges.Go(func() { exchange(t, c, 50, 1000*i, nil) })
			}
			exchanges.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.lost == 0 {
				t.Error("no packet was lost")
			}
		})
	}
}

// exchange sends messages, while it receives their echoes, and closes. Their sizes are from size on. Unless it
// is nil, received is called with the number of each echo.
func exchange(t *testing.T, c *websock.Conn, messages, size int, received func(i int)) {
	message := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, size+100*i) }
	sent := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < messages && err == nil; i++ {
			err = c.SendBinary(message(i))
		}
		sent <- err
	}()
	for i := range messages {
		c.SetRecvDeadline(time.Now().Add(patience))
		if _, msg, err := c.RecvMessage(nil); err != nil || !bytes.Equal(msg, message(i)) {
			t.Errorf("echo %d of %d bytes has %d, %v", i, len(message(i)), len(msg), err)
			return
		}
		if received != nil {
			received(i)
		}
	}
	if err := errors.Join(<-sent, c.Close()); err != nil {
		t.Error(err)
	}
}

// A NAT gives the client another port when it has forgotten the old one.
func TestTheClientsAddressChanges(t *testing.T) {
	s := newServer(t, echo)
	p := newProxy(t, s.addr)
	s.addr = p.addr()
	c := s.mustDial(t, websock.Config{})
	exchange(t, c, 200, 1000, func(i int) {
		if i%50 == 25 {
			p.moveClient(t) // packets are under way both ways
		}
	})
	if stats := s.mux.Stats(); stats.Conns != 1 {
		t.Errorf("%+v", stats)
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
	t.Parallel()
	s := newServer(t, echo)
	p := newProxy(t, s.addr)
	s.addr = p.addr()
	s.mux.HTTP3.(*h3.Dialer).QUIC = endingIdle
	c := s.mustDial(t, websock.Config{})
	wantEcho(t, c, "here")
	time.Sleep(idleTimeout + time.Second) // the connection is kept alive meanwhile
	wantEcho(t, c, "still here")
	p.lose(func() bool { return true })
	c.SetRecvDeadline(time.Now().Add(2 * patience))
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
		{"HTTP/1.1 in half of a Dial's time", &h3.Dialer{Timeout: time.Minute, QUIC: endlessHandshake}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newTCPServer(t, echo)
			mux := &websock.Mux{HTTP3: test.dialer}
			defer mux.Close()
			for range 2 {
				c, err := s.dial(t, websock.Config{Mux: mux, Timeout: patience})
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
			s.QUICConfig = nil
			if allowed {
				s.QUICConfig = &quic.Config{Allow0RTT: true, HandshakeIdleTimeout: time.Hour}
			}
		})
		config := s.target().TLS.Clone()
		config.ClientSessionCache = newTicketCache()
		for _, resumed := range []bool{false, true} {
			conn, err := quic.DialAddrEarly(t.Context(), s.addr.String(), config, endlessHandshake)
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
