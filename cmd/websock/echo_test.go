package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// servers runs f with a server of every transport, plain and with TLS.
func servers(t *testing.T, f func(t *testing.T, transport, url string, dial websock.Config), args ...string) {
	cert, key := certificate(t)
	for transport := range transports {
		for scheme, secured := range map[string][]string{"ws": nil, "wss": {"-tls-cert", cert, "-tls-key", key}} {
			t.Run(transport+" "+scheme, func(t *testing.T) {
				url, _ := serving(t, append(append([]string{"-transport", transport}, args...), secured...)...)
				if !strings.HasPrefix(url, scheme+"://") {
					t.Errorf("the URL is %s", url)
				}
				d := dialFlags{ca: cert}
				config, err := d.config()
				if err != nil {
					t.Fatal(err)
				}
				f(t, transport, url, config)
			})
		}
	}
}

// A client that sends without taking its echoes has to wait, and gets all of them in the end.
func TestServeEchoesToAClientThatReadsLate(t *testing.T) {
	const messages, size = 8000, 10 << 10 // more than the system's buffers take, both ways
	servers(t, func(t *testing.T, _, url string, config websock.Config) {
		conn, err := websock.Dial(t.Context(), url, &config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var sent atomic.Int64
		failed := make(chan error, 1)
		go func() {
			msg := make([]byte, size)
			for i := range messages {
				binary.BigEndian.PutUint64(msg, uint64(i))
				if err := conn.SendBinary(msg); err != nil {
					failed <- err
					return
				}
				sent.Add(1)
			}
			failed <- nil
		}()
		for before := int64(-1); before != sent.Load(); time.Sleep(200 * time.Millisecond) {
			before = sent.Load()
		}
		if n := sent.Load(); n == messages {
			t.Errorf("the server has taken all %d messages, for nobody", n)
		}
		var msg []byte
		for i := range messages {
			if _, msg, err = conn.RecvMessage(msg[:0]); err != nil || len(msg) != size || binary.BigEndian.Uint64(msg) != uint64(i) {
				t.Fatalf("echo %d: %.8x of %d bytes, %v", i, msg, len(msg), err)
			}
		}
		if err := <-failed; err != nil {
			t.Error(err)
		}
	})
}

func TestFanoutOverEveryTransport(t *testing.T) {
	cert, key := certificate(t)
	for client := range transports {
		for server := range transports {
			for _, secured := range [][]string{nil, {"-tls-cert", cert, "-tls-key", key}} {
				t.Run(fmt.Sprintf("%s to %s, TLS %v", client, server, secured != nil), func(t *testing.T) {
					url, _ := serving(t, append([]string{"-transport", server}, secured...)...)
					for _, window := range []string{"1", "16", "500"} {
						r, got := fanoutReport(t, "-url", url, "-transport", client, "-ca", cert, "-n", "10", "-duration", "50ms", "-size", "1000", "-window", window)
						if got.code != 0 || r.Connections != 10 || r.Sent != r.Received || r.Sent < 10 || r.Transport != client {
							t.Errorf("window %s: %+v", window, got)
						}
					}
				})
			}
		}
	}
}

func TestFanoutStartsASecureServerOfItsOwn(t *testing.T) {
	for transport := range transports {
		r, got := fanoutReport(t, "-tls", "-transport", transport, "-n", "10", "-duration", "100ms")
		if got.code != 0 || got.err != "" || r.Connections != 10 || r.Sent != r.Received || !strings.HasPrefix(r.URLs[0], "wss://") {
			t.Errorf("%s: %+v", transport, got)
		}
	}
	cert, _ := certificate(t)
	if r, got := fanoutReport(t, "-tls", "-ca", cert, "-n", "2", "-duration", "100ms"); got.code != 1 || r.Errors["TLS"] != 2 {
		t.Errorf("with trust in another's certificate: %+v", got)
	}
}
