//lint:file-ignore SA1019 net/http's client, which is to be used instead, can't send the field :protocol

package interop

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws/wsutil"
	"golang.org/x/net/http2"
)

// netHTTP2Client echoes with gobwas over golang.org/x/net's client, of which it knows only the framing.
func netHTTP2Client(t *testing.T, c *certificate, _ string, urls []string) {
	client := &http2.Transport{
		TLSClientConfig: &tls.Config{RootCAs: c.roots},
		AllowHTTP:       true,
	}
	if strings.HasPrefix(urls[0], "ws:") {
		client.DialTLSContext = func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}
	t.Cleanup(client.CloseIdleConnections)
	for _, url := range urls {
		body, out := io.Pipe()
		t.Cleanup(func() { out.Close() })
		r, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, "http"+strings.TrimPrefix(url, "ws"), body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {"chat"}}
		go func() {
			response, err := client.RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			defer out.Close()
			gobwasClientEchoes(response.Body, out)
		}()
	}
}

func gobwasClientEchoes(in io.Reader, out io.Writer) {
	conn := struct {
		io.Reader
		io.Writer
	}{in, out}
	for {
		msg, op, err := wsutil.ReadServerData(conn)
		if err != nil {
			return
		}
		if err := wsutil.WriteClientMessage(conn, op, msg); err != nil {
			return
		}
	}
}
