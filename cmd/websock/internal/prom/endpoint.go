package prom

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// An Endpoint is an HTTP server whose path /metrics has the metrics of a run and of this process.
type Endpoint struct {
	listener net.Listener
	server   *http.Server
	serving  sync.WaitGroup
}

// Path is the path of the metrics.
const Path = "/metrics"

// maxConnections bounds the open files that clients can take from the run.
const maxConnections = 16

// Listen listens at an address. Requests wait until Serve is called. Close must be called.
func Listen(addr string) (*Endpoint, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Endpoint{listener: netutil.LimitListener(listener, maxConnections)}, nil
}

// URL returns the URL of the metrics.
func (e *Endpoint) URL() string { return "http://" + e.listener.Addr().String() + Path }

// Serve starts to answer requests. snapshot returns what was measured so far.
func (e *Endpoint) Serve(snapshot func() measure.Snapshot) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(snapshot), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle(Path, promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "The metrics of this run are at "+Path+"\n")
	})
	const limit = 10 * time.Second
	e.server = &http.Server{Handler: mux, ReadTimeout: limit, WriteTimeout: limit}
	e.serving.Go(func() { e.server.Serve(e.listener) })
}

// Close stops listening. A request that is being answered has a second to end.
func (e *Endpoint) Close() {
	e.listener.Close() // which the server does not know if it has not begun yet
	if e.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if e.server.Shutdown(ctx) != nil {
		e.server.Close()
	}
	e.serving.Wait()
}
