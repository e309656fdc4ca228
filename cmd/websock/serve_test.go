package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

func TestServePushesToAll(t *testing.T) {
	url, _ := serving(t, "-push", "5ms", "-size", "20")
	var last string
	for range 2 {
		conn, err := websock.Dial(t.Context(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SendText([]byte("nobody echoes this")); err != nil {
			t.Error(err)
		}
		for range 3 {
			op, msg, err := conn.RecvMessage(nil)
			if op != engine.OpText || len(msg) != 20 || err != nil || string(msg) == last {
				t.Fatalf("%v %q %v", op, msg, err)
			}
			last = string(msg)
		}
	}
}

func TestInterruptClosesConnectionsAsGoingAway(t *testing.T) {
	for _, args := range [][]string{nil, {"-push", "1ms"}} {
		url, interrupt := serving(t, args...)
		conn, err := websock.Dial(t.Context(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ended := make(chan outcome)
		go func() { ended <- interrupt() }()
		for err == nil {
			_, _, err = conn.RecvMessage(nil)
		}
		var closed *engine.CloseError
		if !errors.As(err, &closed) || closed.Code != engine.CloseGoingAway || closed.Local {
			t.Errorf("%v", err)
		}
		if got := <-ended; got.code != 0 || got.err != "" {
			t.Errorf("%+v", got)
		}
	}
}

func TestServeEndsWithStandardInput(t *testing.T) {
	got := command(t.Context(), "", "serve", "-addr", "127.0.0.1:0", "-stdin")
	if got.code != 0 || got.err != "" {
		t.Errorf("%+v", got)
	}
}

// certificate writes a certificate for 127.0.0.1 and its key to files.
func certificate(t *testing.T) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", certDER), write("key.pem", "PRIVATE KEY", keyDER)
}

func TestSecureServer(t *testing.T) {
	cert, key := certificate(t)
	url, _ := serving(t, "-tls-cert", cert, "-tls-key", key)
	for _, trust := range [][]string{{"-ca", cert}, {"-insecure"}} {
		r, got := fanoutReport(t, append(trust, "-url", url, "-n", "5", "-duration", "50ms", "-window", "4")...)
		if got.code != 0 || r.Sent != r.Received || r.Sent < 20 {
			t.Errorf("%v: %+v", trust, got)
		}
	}
	r, got := fanoutReport(t, "-url", url, "-n", "2", "-duration", "50ms")
	if got.code != 1 || r.Errors["TLS"] != 2 {
		t.Errorf("no trust: %+v", got)
	}
}

func TestSecureServerMakesItsOwnCertificate(t *testing.T) {
	var said buffer
	url, interrupt := servingAndTelling(t, &said, "-tls", "-addr", "localhost:0")
	_, cert, told := strings.Cut(strings.TrimSpace(said.String()), "-ca: ")
	if !told || !strings.HasPrefix(url, "wss://") {
		t.Fatalf("%s %q", url, said.String())
	}
	if got := command(t.Context(), "x\n", "connect", "-wait", quiet, "-ca", cert, url); got.code != 0 || got.out != "x\n" {
		t.Errorf("%+v", got)
	}
	if got := command(t.Context(), "x\n", "connect", url); got.code == 0 || !strings.Contains(got.err, "certificate") {
		t.Errorf("without trust: %+v", got)
	}
	interrupt()
	if _, err := os.Stat(cert); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left %s behind", cert)
	}
}

func TestOwnCertificateIsForTheHostToListenOn(t *testing.T) {
	for _, host := range []string{"127.0.0.2", "::2", "feed.example", "", "127.0.0.1", "localhost"} {
		own, err := newSelfSigned(host)
		if err != nil {
			t.Fatal(err)
		}
		defer own.remove()
		pair, err := tls.LoadX509KeyPair(own.cert, own.key)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{host, "localhost", "127.0.0.1", "::1"} {
			if err := pair.Leaf.VerifyHostname(name); name != "" && err != nil {
				t.Errorf("made for %q: %v", host, err)
			}
		}
	}
}

func TestServersShareAPort(t *testing.T) {
	if runtime.GOOS != "linux" {
		got := command(t.Context(), "", "serve", "-addr", "127.0.0.1:0", "-reuseport")
		if got.code != 1 || !strings.Contains(got.err, "-reuseport") {
			t.Errorf("%+v", got)
		}
		return
	}
	url, _ := serving(t, "-reuseport")
	addr := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/")
	serving(t, "-reuseport", "-addr", addr)
	if r, got := fanoutReport(t, "-url", url, "-n", "20", "-duration", "50ms"); got.code != 0 {
		t.Errorf("%+v %+v", got, r)
	}
	if got := command(t.Context(), "", "serve", "-addr", addr); got.code != 1 || !strings.Contains(got.err, "in use") {
		t.Errorf("one that doesn't share: %+v", got)
	}
}
