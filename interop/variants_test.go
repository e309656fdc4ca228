package interop

import (
	"crypto/tls"
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
)

var variants = []variant{plain, compressed, secure}

// compression returns the compression that we offer or accept.
func (v variant) compression() websock.Compression {
	if v != compressed {
		return websock.Compression{}
	}
	return websock.Compression{Level: 1, SendTakeover: true, RecvTakeover: true}
}

// dial opens a connection to a server of another project.
func (v variant) dial(t *testing.T, c *certificate, url, subprotocol string) (*websock.Conn, error) {
	return websock.Dial(t.Context(), url, &websock.Config{
		TLS:          &tls.Config{RootCAs: c.roots},
		Subprotocols: []string{subprotocol},
		Compression:  v.compression(),
		Timeout:      20 * time.Second,
	})
}

// An acceptor accepts clients of other projects, on the path /plain, /compressed or /secure.
type acceptor struct {
	accepted map[variant]chan *websock.Conn
	urls     map[variant]string
	pages    map[variant]string // for browsers, of the same origin
}

func newAcceptor(t *testing.T, c *certificate) *acceptor {
	r := &acceptor{accepted: map[variant]chan *websock.Conn{}, urls: map[variant]string{}, pages: map[variant]string{}}
	mux := http.NewServeMux()
	for _, v := range variants {
		arrived := make(chan *websock.Conn, 1)
		r.accepted[v] = arrived
		mux.HandleFunc("/"+string(v), func(rw http.ResponseWriter, req *http.Request) {
			conn, err := websock.Accept(rw, req, &websock.AcceptOptions{
				Subprotocols: []string{"chat"},
				Compression:  v.compression(),
			})
			if err != nil {
				t.Error(v, err)
				return
			}
			arrived <- conn
		})
	}
	mux.Handle("/", http.FileServer(http.Dir("clients")))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	behindTLS := httptest.NewUnstartedServer(mux)
	behindTLS.TLS = &tls.Config{Certificates: []tls.Certificate{c.tls}}
	behindTLS.StartTLS()
	t.Cleanup(behindTLS.Close)
	for _, v := range variants {
		origin := server.URL
		if v == secure {
			origin = behindTLS.URL
		}
		r.urls[v] = "ws" + origin[len("http"):] + "/" + string(v)
		r.pages[v] = origin + "/page.html#"
	}
	return r
}

// await returns the next connection.
func (r *acceptor) await(t *testing.T, v variant) *websock.Conn {
	t.Helper()
	select {
	case conn := <-r.accepted[v]:
		return conn
	case <-time.After(time.Minute):
		t.Fatalf("no client connected to %s", r.urls[v])
		return nil
	}
}
