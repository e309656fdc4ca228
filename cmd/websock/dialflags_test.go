package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed004e8d11/websock"
)

// A visit is what a server has seen of a client.
type visit struct {
	host, origin, remote, certificate string
}

// startObservingServer starts a server that echoes. visits returns what it has seen, each once.
func startObservingServer(t *testing.T, config *tls.Config) (port string, visits func() []visit) {
	var mu sync.Mutex
	var seen []visit
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := visit{origin: strings.Join(r.Header["Origin"], " and ")}
		v.host, _, _ = net.SplitHostPort(r.Host)
		v.remote, _, _ = net.SplitHostPort(r.RemoteAddr)
		if r.TLS != nil {
			v.certificate = r.TLS.PeerCertificates[0].IPAddresses[0].String()
		}
		mu.Lock()
		if !slices.Contains(seen, v) {
			seen = append(seen, v)
		}
		mu.Unlock()
		conn, err := websock.Accept(w, r, &websock.AcceptOptions{CheckOrigin: func(*http.Request) bool { return true }})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		echoChanged(conn, func(op websock.Opcode, _ []byte) websock.Opcode { return op })
	}))
	server.TLS = config
	if config != nil {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	_, port, _ = net.SplitHostPort(server.Listener.Addr().String())
	return port, func() []visit {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// dialCommands are the commands that connect to a URL, without it and their other flags.
var dialCommands = [][]string{
	{"connect", "-wait", "0s"},
	{"fanout", "-n", "2", "-duration", "10ms", "-json"},
}

// dial runs a command of dialCommands.
func dial(t *testing.T, cmd []string, url string, flags ...string) outcome {
	args := append(slices.Clone(cmd), flags...)
	if args[0] == "fanout" {
		args = append(args, "-url")
	}
	return command(t.Context(), "", append(args, url)...)
}

func TestResolveAndOriginOfTheCommandsThatConnect(t *testing.T) {
	for _, cmd := range dialCommands {
		for _, test := range []struct {
			flags []string
			want  visit
		}{
			{[]string{"-resolve", "feed.invalid:127.0.0.1"}, visit{host: "feed.invalid", remote: "127.0.0.1"}},
			{[]string{"-resolve", "feed.invalid:192.0.2.1", "-resolve", "Feed.invalid:PORT:127.0.0.1"}, visit{host: "feed.invalid", remote: "127.0.0.1"}},
			{[]string{"-resolve", "feed.invalid:127.0.0.1", "-origin", "https://EXAMPLE.com:8443/page"}, visit{host: "feed.invalid", remote: "127.0.0.1", origin: "https://example.com:8443"}},
			{[]string{"-resolve", "feed.invalid:127.0.0.1", "-origin", "null"}, visit{host: "feed.invalid", remote: "127.0.0.1", origin: "null"}},
		} {
			port, visits := startObservingServer(t, nil)
			for i, flag := range test.flags {
				test.flags[i] = strings.Replace(flag, "PORT", port, 1)
			}
			got := dial(t, cmd, "ws://feed.invalid:"+port+"/", test.flags...)
			if seen := visits(); got.code != 0 || len(seen) != 1 || seen[0] != test.want {
				t.Errorf("%s %q: %+v, the server has seen %+v", cmd[0], test.flags, got, seen)
			}
		}
	}
}

func TestResolveKeepsTheSourceAddresses(t *testing.T) {
	port, visits := startObservingServer(t, nil)
	got := dial(t, dialCommands[1], "ws://feed.invalid:"+port+"/", "-resolve", "feed.invalid:127.0.0.1", "-source", "127.0.0.1,127.0.0.2")
	if seen := visits(); got.code != 0 || len(seen) != 2 || seen[0].remote == seen[1].remote {
		t.Errorf("%+v, the server has seen %+v", got, seen)
	}
}

func TestClientCertificatesOfTheCommandsThatConnect(t *testing.T) {
	cert, key := writeCertificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}
	both := filepath.Join(t.TempDir(), "both.pem")
	var text []byte
	for _, file := range []string{cert, key} {
		part, _ := os.ReadFile(file)
		text = append(text, part...)
	}
	os.WriteFile(both, text, 0o600)
	for _, cmd := range dialCommands {
		port, visits := startObservingServer(t, config)
		url := "wss://127.0.0.1:" + port + "/"
		for _, flags := range [][]string{{"-cert", cert, "-key", key}, {"-cert", both}} {
			if got := dial(t, cmd, url, append(flags, "-ca", cert)...); got.code != 0 {
				t.Errorf("%s %v: %+v", cmd[0], flags, got)
			}
		}
		if seen := visits(); len(seen) != 1 || seen[0].certificate != "127.0.0.1" {
			t.Errorf("%s: the server has seen %+v", cmd[0], seen)
		}
		if got := dial(t, cmd, url, "-ca", cert); got.code == 0 {
			t.Errorf("%s without a certificate: %+v", cmd[0], got)
		}
		if got := dial(t, cmd, url, "-cert", cert); got.code != 1 || !strings.Contains(got.err, "-cert can't be used") {
			t.Errorf("%s without a key: %+v", cmd[0], got)
		}
	}
}

func TestWrongDialFlags(t *testing.T) {
	for _, cmd := range dialCommands {
		for _, flags := range [][]string{
			{"-key", "key.pem"},
			{"-resolve", "a.example"},
			{"-origin", "example.com"}, {"-origin", "https://"}, {"-origin", ":"},
			{"-origin", "https://a.example", "-header", "origin: https://b.example"},
		} {
			if got := dial(t, cmd, unusedURL, flags...); got.code != 2 {
				t.Errorf("%s %q: %+v", cmd[0], flags, got)
			}
		}
	}
}
