package h3_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/h3"
)

// ways are what carries the WebSockets: both ends are in this process, and have Handlers.
var ways = []struct {
	name   string
	server func(testing.TB) *server
	mux    func() *websock.Mux // nil: none
	epoll  bool
}{
	{"wss", func(t testing.TB) *server { return newTCPServer(t, echo) }, nil, false},
	{"h2", newHTTP2Server, func() *websock.Mux { return &websock.Mux{} }, false},
	{"h2-epoll", newHTTP2Server, func() *websock.Mux { return &websock.Mux{} }, true},
	{"h3", func(t testing.TB) *server { return newServer(t, echo) }, func() *websock.Mux {
		return &websock.Mux{HTTP3: &h3.Dialer{Required: true}}
	}, false},
}

// newHTTP2Server serves HTTP/2.
func newHTTP2Server(t testing.TB) *server {
	l := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	if err := websock.ConfigureServer(l.Config); err != nil {
		t.Fatal(err)
	}
	l.TLS = l.Config.TLSConfig
	l.StartTLS()
	t.Cleanup(l.Close)
	roots := x509.NewCertPool()
	roots.AddCert(l.Certificate())
	return &server{addr: l.Listener.Addr().(*net.TCPAddr).AddrPort(), config: &tls.Config{RootCAs: roots}}
}

// openMany opens WebSockets whose Handler calls received.
func openMany(b *testing.B, way int, n int, received func(i int)) []*websock.Conn {
	s := ways[way].server(b)
	cfg := websock.Config{Timeout: time.Minute}
	if ways[way].mux != nil {
		cfg.Mux = ways[way].mux()
		b.Cleanup(cfg.Mux.Close)
	}
	if ways[way].epoll {
		cfg.Transport = epoll.Transport()
	}
	conns := make([]*websock.Conn, n)
	for i := range conns {
		cfg.Handler = websock.Messages(func(*websock.Conn, websock.Opcode, []byte) { received(i) }, nil)
		c, err := s.dialAny(b, cfg)
		if err != nil {
			b.Fatal(err)
		}
		conns[i] = c
	}
	b.Cleanup(func() {
		for _, c := range conns {
			c.Abort(nil)
		}
	})
	return conns
}

// BenchmarkIdle measures the memory of WebSockets over which nothing is sent: both ends of each, after each
// has echoed a message, without that of the kernel.
func BenchmarkIdle(b *testing.B) {
	const n = 1000
	for way := range ways {
		b.Run(ways[way].name, func(b *testing.B) {
			for range b.N {
				var before, after runtime.MemStats
				collect(&before)
				goroutines := runtime.NumGoroutine()
				var echoes sync.WaitGroup
				echoes.Add(n)
				conns := openMany(b, way, n, func(int) { echoes.Done() })
				for _, c := range conns {
					c.SendText([]byte("hello"))
				}
				echoes.Wait()
				time.Sleep(time.Second) // until acknowledgements were sent, and buffers returned
				collect(&after)
				used := after.HeapInuse + after.StackInuse - before.HeapInuse - before.StackInuse
				b.ReportMetric(float64(used)/n, "B/websocket")
				b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-B/websocket")
				b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/n, "goroutines/websocket")
			}
		})
	}
}

// collect returns the memory in use after garbage collection, which empties pools the second time.
func collect(m *runtime.MemStats) {
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(m)
}

// BenchmarkEcho measures the processor time of an echo of 128 bytes, of both ends together. All WebSockets
// send, then all receive.
func BenchmarkEcho(b *testing.B) {
	for way := range ways {
		for _, n := range []struct {
			name  string
			conns int
		}{{"1", 1}, {"100", 100}, {"1000", 1000}} {
			b.Run(ways[way].name+"/websockets="+n.name, func(b *testing.B) {
				var echoes sync.WaitGroup
				conns := openMany(b, way, n.conns, func(int) { echoes.Done() })
				msg := make([]byte, 128)
				begun := processorTime()
				b.ResetTimer()
				for range b.N {
					echoes.Add(len(conns))
					for _, c := range conns {
						c.SendBinary(msg)
					}
					echoes.Wait()
				}
				b.StopTimer()
				b.ReportMetric(float64(processorTime()-begun)/float64(b.N*len(conns)), "cpu-ns/echo")
			})
		}
	}
}

// processorTime returns the processor time that this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
