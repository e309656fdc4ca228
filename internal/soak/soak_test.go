package soak

import (
	"context"
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/tls"
)

var (
	duration = flag.Duration("soak.duration", time.Second, "how long each combination runs")
	conns    = flag.Int("soak.conns", 48, "connections at a time")
)

var transports = map[string]websock.Transport{
	"std":     std.Transport(),
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
}

// perConn is added to pauses for each connection, so that many connections leave processor time to open
// new ones.
const perConn = 400 * time.Microsecond

func TestSoak(t *testing.T) {
	for _, carriers := range [][]string{{"std"}, {"epoll"}, {"netpoll"}, {"std", "epoll", "netpoll"}} {
		for _, scheme := range []string{"ws", "wss"} {
			t.Run(strings.Join(carriers, "+")+" "+scheme, func(t *testing.T) { soak(t, carriers, scheme == "wss") })
		}
	}
}

// soak keeps connections busy. Each end uses a random one of the transports.
func soak(t *testing.T, carriers []string, secure bool) {
	for _, name := range carriers {
		warmUp(t, transports[name])
	}
	goroutines, files, lent := runtime.NumGoroutine(), descriptors(), buffer.Lent()
	r := &run{carriers: carriers, pause: max(20*time.Millisecond, time.Duration(*conns)*perConn), ends: map[string]int{}}
	stop := r.serve(t, secure)
	end := time.Now().Add(*duration)
	var slots sync.WaitGroup
	for range *conns {
		slots.Go(func() {
			for !r.failed() && (time.Now().Before(end) || !r.sawAll() && time.Now().Before(end.Add(time.Minute))) {
				r.connect()
			}
		})
	}
	slots.Wait()
	r.served.Wait()
	stop()
	for _, err := range r.errs {
		t.Error(err)
	}
	t.Logf("%d messages and %d pongs over %d connections; ends: %v", r.messages.Load(), r.pongs.Load(), r.connections.Load(), r.ends)
	if !r.sawAll() {
		t.Error("no messages or no pongs were received")
	}
	waitForCount(t, "goroutines", goroutines, runtime.NumGoroutine)
	waitForCount(t, "descriptors", files, descriptors)
	waitForCount(t, "buffers", lent, buffer.Lent) // under the race detector
}

// warmUp opens a connection over the transport, so that what lives as long as the process exists: the
// pollers of netpoll.
func warmUp(t *testing.T, transport websock.Transport) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	carried, err := websock.Attach(transport, conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	carried.Close()
	time.Sleep(100 * time.Millisecond) // for its goroutines to end
}

// waitForCount waits until a count is no more than before.
func waitForCount(t *testing.T, what string, before int, now func() int) {
	t.Helper()
	for range 6000 {
		if now() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s: %d, and %d before", what, now(), before)
}

// A run is one combination of transports and scheme.
type run struct {
	carriers []string // names of transports
	url      string
	client   *stdtls.Config
	pause    time.Duration // between messages, at most

	messages    atomic.Uint64
	pongs       atomic.Uint64
	connections atomic.Uint64
	served      sync.WaitGroup

	mu   sync.Mutex
	errs []error
	ends map[string]int // how connections ended
}

// sawAll reports whether there were messages and pongs, which a busy machine may take longer for.
func (r *run) sawAll() bool { return r.messages.Load() > 0 && r.pongs.Load() > 0 }

func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

func (r *run) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.errs) > 0
}

func (r *run) count(err error) {
	var closed *websock.CloseError
	errors.As(err, &closed)
	kind := fmt.Sprintf("code %d", closed.Code)
	if closed.Local {
		kind += " by us"
	}
	if errors.Is(err, websock.ErrTimeout) {
		kind += ", timeout"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends[kind]++
}

func (r *run) lifetime(random *rand.Rand) time.Duration {
	return time.Duration(random.Int64N(int64(max(*duration/4, time.Second))))
}

// limits returns random limits, with all policies for a full queue.
func limits() websock.Limits {
	return websock.Limits{WhenFull: websock.QueuePolicy(rand.IntN(3)), CloseTimeout: 20 * time.Second}
}

func (r *run) transport() websock.Transport {
	return transports[r.carriers[rand.IntN(len(r.carriers))]]
}

// compression returns a random compression: none, the default, or one with random parameters.
func compression() websock.Compression {
	switch rand.IntN(3) {
	case 0:
		return websock.Compression{}
	case 1:
		return websock.DefaultCompression
	}
	return websock.Compression{
		Level:          1 + rand.IntN(9),
		Threshold:      rand.IntN(300),
		SendTakeover:   rand.IntN(2) == 0,
		RecvTakeover:   rand.IntN(2) == 0,
		SendWindowBits: 9 + rand.IntN(7),
		RecvWindowBits: 9 + rand.IntN(7),
	}
}

// keepAlive returns a KeepAlive that pings idle connections, or none.
func keepAlive() websock.KeepAlive {
	if rand.IntN(2) == 0 {
		return websock.KeepAlive{}
	}
	return websock.KeepAlive{Ping: 40 * time.Millisecond, Timeout: time.Minute}
}

// dials bounds concurrent handshakes: thousands at once would time out.
var dials = make(chan struct{}, 64)

// serve starts the server and returns a function that stops it.
func (r *run) serve(t *testing.T, secure bool) (stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "ws://" + l.Addr().String()
	if secure {
		issuer := httptest.NewTLSServer(nil) // for its certificate
		issuer.Close()
		r.url = "wss://" + l.Addr().String()
		r.client = &stdtls.Config{RootCAs: x509.NewCertPool()}
		r.client.RootCAs.AddCert(issuer.Certificate())
		l = tls.NewListener(l, &stdtls.Config{Certificates: issuer.TLS.Certificates})
	}
	server := &http.Server{Handler: http.HandlerFunc(r.accept), ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() {
		server.Serve(l)
		close(served)
	}()
	return func() {
		server.Close()
		<-served
	}
}

func (r *run) accept(w http.ResponseWriter, req *http.Request) {
	r.served.Add(1)
	defer r.served.Done()
	p := newPeer(r)
	var err error
	p.conn, err = websock.Accept(w, req, &websock.AcceptOptions{
		Transport: r.transport(), Handler: p.handler(), Limits: limits(), Compression: compression(), KeepAlive: keepAlive(),
	})
	if err != nil {
		r.fail(err)
		return
	}
	close(p.ready)
	p.sendAndClose()
}

func (r *run) connect() {
	p := newPeer(r)
	var err error
	dials <- struct{}{}
	p.conn, err = websock.Dial(context.Background(), r.url, &websock.Config{
		Transport: r.transport(), TLS: r.client, Handler: p.handler(), Limits: limits(), Proxy: websock.NoProxy,
		Compression: compression(), KeepAlive: keepAlive(), Timeout: time.Minute,
	})
	<-dials
	if err != nil {
		r.fail(err)
		return
	}
	r.connections.Add(1)
	close(p.ready)
	p.sendAndClose()
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}
