// Command gateway gives many browsers what one upstream server sends, over one connection to that. The
// gateway subscribes to a topic there when the first browser wants it, and unsubscribes after the
// last one. When the upstream connection is lost, it is dialed again, and browsers stay connected.
//
//	go run ./examples/gateway -listen 127.0.0.1:8080
//
// prints the address of a page, which works with a simulated upstream; -upstream names a real one. Requests
// are {"subscribe":"topic"} and {"unsubscribe":"topic"}, of a browser as of the gateway. The upstream
// sends {"topic":"topic", ...} with anything else in it, which goes to browsers as it is. They also
// get {"upstream":"up"} and {"upstream":"down"}.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:8080", "host and port")
	upstream := flag.String("upstream", "", "URL of the upstream server; empty: a simulated one")
	flag.Parse()
	if *upstream == "" {
		*upstream = "ws://" + serve("127.0.0.1:0", http.HandlerFunc(simulate)).Addr
	}
	token := rand.Text()
	g, err := newGateway(*upstream, token)
	if err != nil {
		log.Fatal(err)
	}
	server := serve(*addr, g)
	log.Printf("open http://%s/?token=%s", server.Addr, token)

	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	<-interrupted.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := stopServing(ctx, server, g); err != nil {
		log.Print(err)
	}
}

// stopServing ends both at the same time: over HTTP/1.1 the server doesn't know the WebSockets, and over HTTP/2
// it waits until the gateway has closed them.
func stopServing(ctx context.Context, server *http.Server, g *gateway) error {
	served := make(chan error, 1)
	go func() { served <- server.Shutdown(ctx) }()
	err := g.shutdown(ctx)
	return errors.Join(err, <-served)
}

// serve starts a server, whose Addr is where it listens.
func serve(addr string, handler http.Handler) *http.Server {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: listener.Addr().String(), Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	return server
}
