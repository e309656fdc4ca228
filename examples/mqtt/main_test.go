package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/loopback"
)

// newBroker starts Mosquitto with a listener for WebSocket, and returns its URL.
func newBroker(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/mosquitto")
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs the broker mosquitto: apt-get install mosquitto")
	}
	addresses := loopback.Addresses(t, 2) // Mosquitto 2.0.11 exits if all its listeners are for WebSocket
	config := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf(`listener %s
protocol websockets
listener %s
allow_anonymous true
persistence false
`, listener(addresses[0]), listener(addresses[1]))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	broker := exec.Command(program, "-c", config)
	broker.Stdout, broker.Stderr = &said, &said
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		broker.Process.Kill()
		broker.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addresses[0])
		if err == nil {
			conn.Close()
			return "ws://" + addresses[0] + "/"
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// listener returns an address as Mosquitto's configuration has it.
func listener(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return port + " " + host
}

func TestPublishAndReceive(t *testing.T) {
	broker := newBroker(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	large := strings.Repeat("more than is read at once ", 2_000)
	for _, text := range []string{"Hello", large} {
		if got, err := exchange3(ctx, broker, text); got != text || err != nil {
			t.Errorf("3.1.1: %.20q… of %d bytes, %v", got, len(got), err)
		}
		if got, err := exchange5(ctx, broker, text); got != text || err != nil {
			t.Errorf("5: %.20q… of %d bytes, %v", got, len(got), err)
		}
	}
}

func TestServerOfSomethingElseIsAnError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websock.Accept(w, r, nil); err == nil {
			conn.Close()
		}
	}))
	defer server.Close()
	if conn, err := dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")); err == nil {
		conn.Close()
		t.Error("no error")
	}
}

func TestMissingBrokerIsAnError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := exchange5(ctx, "ws://127.0.0.1:1/", "x"); err == nil {
		t.Error("no error")
	}
}
