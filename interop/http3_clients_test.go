package interop

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	neturl "net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// http3Clients are partners for our server over HTTP/3.
var http3Clients = []partner{
	{name: "gobwas with quic-go", version: module("github.com/quic-go/quic-go"), opens: http3From(quicClient), notes: map[string]string{
		"compressed": "not offered",
	}},
	{name: "wsproto with aioquic", version: pythonPackage("aioquic"), opens: http3From(aioquicClient)},
	{name: "Chromium", version: printed("chromium", "--version"), opens: http3From(chromiumHTTP3)},
}

// http3From starts a client for each variant, which opens all WebSockets at once.
func http3From(start streamClient) func(*testing.T, *certificate) opener {
	return func(t *testing.T, c *certificate) opener {
		variants := []variant{stream, compressedStream}
		r, mux := acceptorOf(t, variants)
		origin := "https://" + serveHTTP3(t, c, mux)
		for _, v := range variants {
			r.serve(v, origin)
		}
		return r.awaiting(c, start)
	}
}

// quicClient echoes with gobwas over the HTTP/3 of quic-go, of which it knows only the framing.
func quicClient(t *testing.T, c *certificate, _ string, urls []string) {
	to, err := neturl.Parse(urls[0])
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	conn, err := quic.DialAddr(ctx, to.Host, &tls.Config{RootCAs: c.roots, NextProtos: []string{http3.NextProtoH3}}, patientHandshake)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") })
	client := new(http3.Transport).NewClientConn(conn)
	<-client.ReceivedSettings()
	if !client.Settings().EnableExtendedConnect {
		t.Fatal("our server doesn't offer extended CONNECT")
	}
	for _, url := range urls {
		go func() {
			if err := echoOverQUIC(ctx, client, url); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}()
	}
}

func echoOverQUIC(ctx context.Context, client *http3.ClientConn, url string) error {
	stream, err := client.OpenRequestStream(ctx)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodConnect, "https"+strings.TrimPrefix(url, "wss"), nil)
	if err != nil {
		return err
	}
	r.Proto = "websocket"
	r.Header = http.Header{"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {"chat"}}
	if err := stream.SendRequestHeader(r); err != nil {
		return err
	}
	if _, err := stream.ReadResponse(); err != nil {
		return err
	}
	gobwasClientEchoes(stream, stream)
	return stream.Close()
}

func aioquicClient(t *testing.T, c *certificate, _ string, urls []string) {
	run(t, exec.Command(inVenv(t, "python3"), append([]string{"http3.py", "connect", c.files["cert"]}, urls...)...))
}

// chromiumHTTP3 opens a page over HTTP/3. Chromium accepts a certificate of tests there only if it is
// told the key, and uses HTTP/3 for WebSockets only if it is told to.
func chromiumHTTP3(t *testing.T, c *certificate, page string, urls []string) {
	leaf, err := x509.ParseCertificate(c.tls.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	host := strings.Split(page, "/")[2]
	runChromium(t, page+strings.Join(urls, ","),
		"--enable-features=EnableWebsocketsOverHttp3",
		"--origin-to-force-quic-on="+host,
		"--ignore-certificate-errors-spki-list="+base64.StdEncoding.EncodeToString(key[:]))
}
