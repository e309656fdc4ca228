package websock

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers questions for A and AAAA of one name over UDP, and returns its address.
func nameServer(t *testing.T, name string, a [4]byte, aaaa [16]byte) string {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
			switch {
			case q.Name.String() != name+".":
				m.RCode = dnsmessage.RCodeNameError
			case q.Type == dnsmessage.TypeA:
				m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: a}}}
			case q.Type == dnsmessage.TypeAAAA:
				m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: aaaa}}}
			}
			if answer, err := m.Pack(); err == nil {
				conn.WriteTo(answer, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

// Nobody is at the first address that the name has, and the second one is tried.
func TestNamesAreLookedUpByTheDialersResolver(t *testing.T) {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(server(t, echo(t, nil)), "ws://"))
	nowhere := [16]byte{1} // 100::, of the prefix that discards (RFC 6666)
	dns := nameServer(t, "feed.test", [4]byte{127, 0, 0, 1}, nowhere)
	cfg := &Config{
		Proxy: NoProxy,
		Dialer: &net.Dialer{Resolver: &net.Resolver{
			PreferGo: true,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "udp", dns)
			},
		}},
	}
	c, err := Dial(t.Context(), "ws://feed.test:"+port, cfg)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	var failed *net.DNSError
	if _, err := Dial(t.Context(), "ws://other.test:"+port, cfg); !errors.As(err, &failed) || !failed.IsNotFound {
		t.Error(err)
	}
}
