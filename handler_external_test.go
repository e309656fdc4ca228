package websock_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A Handler gets the Conn that Dial returns, even if it is called first.
func TestAHandlerMayBeCalledBeforeDialReturns(t *testing.T) {
	url := newTalker(t)
	for name, transport := range everyTransport {
		t.Run(name, func(t *testing.T) {
			var dialled atomic.Bool
			early := 0
			for range 50 {
				calls := make(chan *websock.Conn, 2)
				dialled.Store(false)
				conn, err := websock.Dial(t.Context(), url, &websock.Config{
					Transport: transport,
					Handler: websock.Messages(
						func(c *websock.Conn, _ websock.Opcode, _ []byte) {
							if !dialled.Load() {
								early++
							}
							calls <- c
						},
						func(c *websock.Conn, _ error) { calls <- c },
					),
				})
				dialled.Store(true)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					select {
					case c := <-calls:
						if c != conn {
							t.Fatal("called with another Conn")
						}
					case <-time.After(time.Minute):
						t.Fatal("not called")
					}
				}
			}
			t.Logf("%d of 50 before Dial had returned", early)
		})
	}
}

func TestAHandlerIsNotCalledWhenDialFails(t *testing.T) {
	refuses := httptest.NewServer(http.NotFoundHandler())
	defer refuses.Close()
	hangsUp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x01x")
		conn.Close()
	}))
	defer hangsUp.Close()
	talks := newTalker(t)
	for name, transport := range everyTransport {
		for what, dial := range map[string]struct {
			url       string
			transport websock.Transport
		}{
			"refused":                 {"ws" + strings.TrimPrefix(refuses.URL, "http"), transport},
			"no opening handshake":    {"ws" + strings.TrimPrefix(hangsUp.URL, "http"), transport},
			"a transport that pulls":  {talks, pulling{transport}},
			"nobody listens":          {"ws://127.0.0.1:1/", transport},
			"a URL that can't be one": {"ws://", transport},
		} {
			var called atomic.Bool
			_, err := websock.Dial(t.Context(), dial.url, &websock.Config{
				Transport: dial.transport,
				Handler: websock.Messages(
					func(*websock.Conn, websock.Opcode, []byte) { called.Store(true) },
					func(*websock.Conn, error) { called.Store(true) },
				),
			})
			time.Sleep(10 * time.Millisecond)
			if err == nil || called.Load() {
				t.Errorf("%s, %s: %v, called: %v", name, what, err, called.Load())
			}
		}
	}
}

func TestAfterOnCloseTheConnectionHoldsNoResources(t *testing.T) {
	url := newTalker(t)
	for name, transport := range everyTransport {
		t.Run(name, func(t *testing.T) {
			connect := func() {
				closed := make(chan struct{})
				_, err := websock.Dial(t.Context(), url, &websock.Config{
					Transport: transport,
					Handler:   websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {}, func(*websock.Conn, error) { close(closed) }),
				})
				if err != nil {
					t.Fatal(err)
				}
				select {
				case <-closed:
				case <-time.After(time.Minute):
					t.Fatal("no OnClose")
				}
			}
			connect() // for what is there for the life of the process
			time.Sleep(50 * time.Millisecond)
			files, goroutines := openFiles(), runtime.NumGoroutine()
			for range 20 {
				connect()
			}
			for end := time.Now().Add(time.Minute); openFiles() > files || runtime.NumGoroutine() > goroutines; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d files and %d goroutines; %d and %d before", openFiles(), runtime.NumGoroutine(), files, goroutines)
				}
			}
		})
	}
}
