package transporttest

import (
	"testing"

	"github.com/seed004e8d11/websock"
)

func (s Suite) testTLSReturnsTheStateOfTheConnection(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.pair(t, network, websock.Limits{})
		for _, c := range []*websock.Conn{client, server} {
			if s.TLS == 0 && c.TLS() != nil {
				t.Errorf("%v: TLS where there is none", c.Role())
			}
			if s.TLS != 0 && (c.TLS() == nil || !c.TLS().HandshakeComplete) {
				t.Errorf("%v: %+v", c.Role(), c.TLS())
			}
		}
		client.Abort(nil)
		if s.TLS != 0 && client.TLS() == nil {
			t.Error("TLS returns nil after the end")
		}
	})
}
