package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock"
)

// startNATS starts a server whose clients use WebSocket or TCP. nats-server 2.15.3 refuses a compressed
// message of a WebSocket that is larger than MaxPayload, though one may have several messages of NATS.
func startNATS(t *testing.T, secure *tls.Config) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
		Websocket: server.WebsocketOpts{
			Host: "127.0.0.1", Port: server.RANDOM_PORT, Compression: true, NoTLS: secure == nil, TLSConfig: secure,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server doesn't start")
	}
	return s
}

// A natsDialer has a client of NATS use a WebSocket of ours. It is safe for one connection at a time.
type natsDialer struct {
	ctx  context.Context
	url  string
	cfg  *websock.Config
	conn *websock.Conn
}

func (d *natsDialer) Dial(_, _ string) (net.Conn, error) {
	conn, err := websock.Dial(d.ctx, d.url, d.cfg)
	if err != nil {
		return nil, err
	}
	d.conn = conn
	return conn.NetConn(websock.OpBinary), nil
}

// SkipTLSHandshake says that the WebSocket has TLS, if the server wants that.
func (d *natsDialer) SkipTLSHandshake() bool { return true }

func TestNATSClientOverOurs(t *testing.T) {
	c := newCertificate(t, folder(t))
	for _, v := range variants {
		t.Run(string(v), func(t *testing.T) {
			var secured *tls.Config
			if v == secure {
				secured = &tls.Config{Certificates: []tls.Certificate{c.tls}}
			}
			url := startNATS(t, secured).WebsocketURL()
			for name, transport := range transports {
				t.Run(name, func(t *testing.T) {
					cfg := v.config(&tls.Config{RootCAs: c.roots}, "chat")
					cfg.Subprotocols, cfg.Transport = nil, transport
					d := &natsDialer{ctx: t.Context(), url: url, cfg: cfg}
					talkNATS(t, "nats://"+url[strings.Index(url, "127."):], nats.SetCustomDialer(d))
					if got := !d.conn.Compression().IsOff(); got != (v == compressed) {
						t.Errorf("compressed: %v", got)
					}
				})
			}
		})
	}
}

// TestNATSClientThroughOurServer has nats.go's own WebSocket client use a server of ours that carries
// bytes to a listener of TCP.
func TestNATSClientThroughOurServer(t *testing.T) {
	c := newCertificate(t, folder(t))
	bridge := bridgeTo(startNATS(t, nil).Addr().String(), &websock.AcceptOptions{Compression: compressed.compression()})
	plainServer := httptest.NewServer(bridge)
	t.Cleanup(plainServer.Close)
	secureServer := httptest.NewUnstartedServer(bridge)
	secureServer.TLS = &tls.Config{Certificates: []tls.Certificate{c.tls}}
	secureServer.StartTLS()
	t.Cleanup(secureServer.Close)
	ws := "ws://" + plainServer.Listener.Addr().String()
	t.Run("plain", func(t *testing.T) { talkNATS(t, ws) })
	t.Run("compressed", func(t *testing.T) { talkNATS(t, ws, nats.Compression(true)) })
	t.Run("secure", func(t *testing.T) {
		talkNATS(t, "wss://"+secureServer.Listener.Addr().String(), nats.Secure(&tls.Config{RootCAs: c.roots}))
	})
}

// TestNATSServerGoesAway has a server end while a client of ours waits.
func TestNATSServerGoesAway(t *testing.T) {
	s := startNATS(t, nil)
	conn, err := websock.Dial(t.Context(), s.WebsocketURL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetRecvDeadline(time.Now().Add(patience))
	if op, msg, err := conn.RecvMessage(nil); op != websock.OpBinary || !bytes.HasPrefix(msg, []byte("INFO {")) || err != nil {
		t.Fatalf("%v %.20q, %v", op, msg, err)
	}
	go s.Shutdown()
	for err == nil { // it may say INFO again
		_, _, err = conn.RecvMessage(nil)
	}
	var closed *websock.CloseError
	if !errors.As(err, &closed) || closed.Local || closed.Code != websock.CloseGoingAway {
		t.Error(err)
	}
}

// talkNATS publishes messages of many sizes, some of which leave in one frame and some of which need
// several reads, and has one answered.
func talkNATS(t *testing.T, url string, options ...nats.Option) {
	t.Helper()
	nc, err := nats.Connect(url, append(options, nats.NoReconnect(), nats.Timeout(patience))...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	prices, err := nc.SubscribeSync("prices.*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = nc.Subscribe("length", func(m *nats.Msg) { m.Respond(m.Data[:3]) }); err != nil {
		t.Fatal(err)
	}
	sizes := []int{0, 1, 125, 126, 4096, 65535, 65536, 300_000, 1 << 20}
	for range 200 {
		sizes = append(sizes, 50)
	}
	for _, size := range sizes {
		if err := nc.Publish("prices.a", payload(size)); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range sizes {
		m, err := prices.NextMsg(patience)
		if err != nil {
			t.Fatalf("%v, message of %d bytes", err, size)
		}
		if !bytes.Equal(m.Data, payload(size)) {
			t.Fatalf("%d other bytes in place of %d", len(m.Data), size)
		}
	}
	if m, err := nc.Request("length", []byte("0123456789"), patience); err != nil || string(m.Data) != "012" {
		t.Errorf("%v, %v", m, err)
	}
	if err := nc.FlushTimeout(patience); err != nil { // PING and PONG of NATS
		t.Error(err)
	}
	if err := nc.LastError(); err != nil {
		t.Error(err)
	}
}

// bridgeTo accepts WebSockets and carries their bytes to a server of TCP.
func bridgeTo(addr string, opts *websock.AcceptOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, opts)
		if err != nil {
			return
		}
		defer conn.Close()
		var d net.Dialer
		server, err := d.DialContext(r.Context(), "tcp", addr)
		if err != nil {
			return
		}
		bytesOf := conn.NetConn(websock.OpBinary)
		go func() {
			defer server.Close()
			io.Copy(server, bytesOf)
		}()
		io.Copy(bytesOf, server)
	})
}
