package fanout

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

func TestABroadcastOverTLS(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		const slots, rounds = 10, 10
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			websock.Accept(w, r, &websock.AcceptOptions{Handler: engine.Messages(func(c *engine.Conn, op engine.Opcode, msg []byte) {
				c.SendFrame(op, true, msg)
			}, nil)})
		}))
		t.Cleanup(server.Close)
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		targets := over(transport, "wss"+strings.TrimPrefix(server.URL, "https"))
		targets[0].Config.TLS = &tls.Config{RootCAs: roots}
		var came atomic.Int32
		g := begun(t, Options{
			Targets:   targets,
			Size:      slots,
			OnMessage: func(*Slot, engine.Opcode, []byte) { came.Add(1) },
		})
		allUp(t, g)
		for range rounds {
			if d := g.Broadcast(engine.OpBinary, make([]byte, 1000)); d.Sent != slots {
				t.Errorf("%+v", d)
			}
		}
		eventually(t, "all echoes", func() bool { return came.Load() == slots*rounds })
	})
}
