package h3_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h3"
)

// resolver returns a net.Resolver for which each name has these addresses of IPv4; none: there is no such name.
func resolver(addrs ...netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go answerQuery(far, addrs)
		return near, nil
	}}
}

// answerQuery answers a query that has the form of TCP (RFC 1035 section 4.2.2).
func answerQuery(c net.Conn, addrs []netip.Addr) {
	defer c.Close()
	b := make([]byte, 2<<10)
	n, err := c.Read(b)
	var m dnsmessage.Message
	if err != nil || m.Unpack(b[2:n]) != nil {
		return
	}
	m.Response, m.Additionals = true, nil
	q := m.Questions[0]
	for _, a := range addrs {
		if q.Type == dnsmessage.TypeA {
			h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		}
	}
	if len(addrs) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
	answer, _ := m.AppendPack([]byte{0, 0})
	answer[0], answer[1] = byte((len(answer)-2)>>8), byte(len(answer)-2)
	c.Write(answer)
}

// What is remembered of a server must be what it has answered, or that it has not answered.
func TestOnlyAServerThatWasAskedIsRemembered(t *testing.T) {
	s := newServer(t, echo)
	silent := listenUDP(t).LocalAddr().(*net.UDPAddr).Port
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name   string
		ctx    context.Context
		change func(*transport.StreamTarget)
		want   error // nil: neither of the two
	}{
		{"no answer", t.Context(), func(to *transport.StreamTarget) { to.Port = silent }, transport.ErrUnsupported},
		{"no certificate that is valid", t.Context(), func(to *transport.StreamTarget) {
			to.TLS = &tls.Config{ServerName: "other.example", NextProtos: to.TLS.NextProtos}
		}, transport.ErrUnsupported},
		{"no such name", t.Context(), func(to *transport.StreamTarget) { to.Host, to.Resolver = "gone.example", resolver() }, transport.ErrNotAsked},
		{"no lookup", t.Context(), func(to *transport.StreamTarget) {
			to.Host, to.Resolver = "gone.example", &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
				return nil, errors.New("no network")
			}}
		}, transport.ErrNotAsked},
		{"no such source address", t.Context(), func(to *transport.StreamTarget) { to.Source = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)} }, transport.ErrNotAsked},
		{"no route", t.Context(), func(to *transport.StreamTarget) {
			to.Source, to.Host = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, "192.0.2.1"
		}, transport.ErrNotAsked},
		{"an older TLS", t.Context(), func(to *transport.StreamTarget) { to.TLS = &tls.Config{MaxVersion: tls.VersionTLS12} }, transport.ErrNotAsked},
		{"a Dial that has ended", canceled, func(*transport.StreamTarget) {}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			to := s.target()
			to.Patience = 10 * time.Second
			test.change(&to)
			session, err := (&h3.Dialer{Timeout: patience}).DialStreams(test.ctx, to)
			if err == nil {
				session.Close(nil)
				t.Fatal("a session")
			}
			for _, kind := range []error{transport.ErrUnsupported, transport.ErrNotAsked} {
				if errors.Is(err, kind) != (kind == test.want) {
					t.Errorf("%v", err)
				}
			}
			if _, err := (&h3.Dialer{Required: true, Timeout: 2 * time.Second}).DialStreams(test.ctx, to); err == nil ||
				errors.Is(err, transport.ErrUnsupported) || errors.Is(err, transport.ErrNotAsked) {
				t.Errorf("with Required: %v", err)
			}
		})
	}
}

// One of the addresses of a name is enough.
func TestOneOfSeveralAddressesAnswers(t *testing.T) {
	good, bad := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.AddrFrom4([4]byte{127, 0, 0, 2})
	s := newServer(t, echo)
	other, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(bad, s.addr.Port())))
	if err != nil {
		t.Skip(err) // not each system has a second address
	}
	t.Cleanup(func() { other.Close() })
	for i, addrs := range [][]netip.Addr{{good, bad}, {bad, good}, {bad, bad, good}} {
		t.Run(fmt.Sprint(addrs), func(t *testing.T) {
			t.Parallel()
			to := s.target()
			to.Host, to.Resolver = fmt.Sprintf("several%d.example", i), resolver(addrs...)
			session, err := (&h3.Dialer{Timeout: 15 * time.Second, QUIC: endlessHandshake}).DialStreams(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close(nil)
			c, head, err := session.OpenStream(t.Context(), s.fields())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if head.Fields[0].Value != fmt.Sprint(http.StatusOK) {
				t.Error(head.Fields)
			}
		})
	}
}
