package interop

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A way is how a connection is opened for the matrix.
type way string

const (
	plain      way = "plain"
	compressed way = "compressed"
	secure     way = "secure"
)

var ways = []way{plain, compressed, secure}

// wished is the compression that we offer or accept.
func (w way) wished() websock.Compression {
	if w != compressed {
		return websock.Compression{}
	}
	return websock.Compression{Level: 1, SendTakeover: true, RecvTakeover: true}
}

// dial opens a connection to a server of others.
func (w way) dial(t *testing.T, c *certificate, url, subprotocol string) (*websock.Conn, error) {
	return websock.Dial(t.Context(), url, &websock.Config{
		TLS:          &tls.Config{RootCAs: c.roots},
		Subprotocols: []string{subprotocol},
		Compression:  w.wished(),
		Timeout:      20 * time.Second,
	})
}

// A reception accepts clients of others, on the path /plain, /compressed or /secure.
type reception struct {
	accepted map[way]chan *websock.Conn
	urls     map[way]string
	pages    map[way]string // for browsers, of the same origin
}

func newReception(t *testing.T, c *certificate) *reception {
	r := &reception{accepted: map[way]chan *websock.Conn{}, urls: map[way]string{}, pages: map[way]string{}}
	mux := http.NewServeMux()
	for _, w := range ways {
		arrived := make(chan *websock.Conn, 1)
		r.accepted[w] = arrived
		mux.HandleFunc("/"+string(w), func(rw http.ResponseWriter, req *http.Request) {
			conn, err := websock.Accept(rw, req, &websock.AcceptOptions{
				Subprotocols: []string{"chat"},
				Compression:  w.wished(),
			})
			if err != nil {
				t.Error(w, err)
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
	for _, w := range ways {
		origin := server.URL
		if w == secure {
			origin = behindTLS.URL
		}
		r.urls[w] = "ws" + origin[len("http"):] + "/" + string(w)
		r.pages[w] = origin + "/page.html#"
	}
	return r
}

// await returns the next client that arrives.
func (r *reception) await(t *testing.T, w way) *websock.Conn {
	t.Helper()
	select {
	case conn := <-r.accepted[w]:
		return conn
	case <-time.After(time.Minute):
		t.Fatalf("no client comes to %s", r.urls[w])
		return nil
	}
}
