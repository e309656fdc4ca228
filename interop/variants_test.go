package interop

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A variant is a kind of connection in the matrix.
type variant string

const (
	plain      variant = "plain"
	compressed variant = "compressed"
	secure     variant = "secure"

	// Those of one kind share HTTP/2 connections.
	stream           variant = "stream" // over TLS
	compressedStream variant = "compressedstream"
	cleartextStream  variant = "cleartextstream" // with prior knowledge
)

var variants = []variant{plain, compressed, secure}

// compression returns the compression that we offer or accept.
func (v variant) compression() websock.Compression {
	if v != compressed && v != compressedStream {
		return websock.Compression{}
	}
	return websock.Compression{Level: 1, SendTakeover: true, RecvTakeover: true}
}

// dial opens a connection of its own to a server of another project.
func (v variant) dial(t *testing.T, c *certificate, url, subprotocol string) (*websock.Conn, error) {
	return websock.Dial(t.Context(), url, v.config(&tls.Config{RootCAs: c.roots}, subprotocol))
}

func (v variant) config(trust *tls.Config, subprotocol string) *websock.Config {
	return &websock.Config{
		TLS:          trust,
		Subprotocols: []string{subprotocol},
		Compression:  v.compression(),
		Timeout:      patience,
		Limits:       unhurried,
	}
}

// An acceptor accepts clients of other projects, on a path that is named for the variant.
type acceptor struct {
	accepted map[variant]chan *websock.Conn
	urls     map[variant]string
	pages    map[variant]string // for browsers, of the same origin
}

func newAcceptor(t *testing.T, c *certificate) *acceptor {
	r, mux := acceptorOf(t, variants)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	behindTLS := httptest.NewUnstartedServer(mux)
	behindTLS.TLS = &tls.Config{Certificates: []tls.Certificate{c.tls}}
	behindTLS.StartTLS()
	t.Cleanup(behindTLS.Close)
	r.serve(plain, server.URL)
	r.serve(compressed, server.URL)
	r.serve(secure, behindTLS.URL)
	return r
}

// acceptorOf returns an acceptor without a server, and its handler.
func acceptorOf(t *testing.T, variants []variant) (*acceptor, *http.ServeMux) {
	r := &acceptor{accepted: map[variant]chan *websock.Conn{}, urls: map[variant]string{}, pages: map[variant]string{}}
	mux := http.NewServeMux()
	for _, v := range variants {
		arrived := make(chan *websock.Conn, 100)
		r.accepted[v] = arrived
		mux.HandleFunc("/"+string(v), func(rw http.ResponseWriter, req *http.Request) {
			conn, err := websock.Accept(rw, req, &websock.AcceptOptions{
				Subprotocols: []string{"chat"},
				Compression:  v.compression(),
				Limits:       unhurried,
			})
			if err != nil {
				t.Error(v, err)
				return
			}
			arrived <- conn
		})
	}
	mux.Handle("/", http.FileServer(http.Dir("clients")))
	return r, mux
}

// serve says where clients of a variant connect.
func (r *acceptor) serve(v variant, origin string) {
	r.urls[v] = "ws" + origin[len("http"):] + "/" + string(v)
	r.pages[v] = origin + "/page.html#"
}

// await returns the next connection.
func (r *acceptor) await(v variant) (*websock.Conn, error) {
	select {
	case conn := <-r.accepted[v]:
		return conn, nil
	case <-time.After(patience):
		return nil, fmt.Errorf("no client connected to %s", r.urls[v])
	}
}
