package httpserver

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport"
)

func TestResponses(t *testing.T) {
	large := strings.Repeat("0123456789", 10_000)
	for _, c := range []struct {
		name    string
		method  string
		handler http.HandlerFunc
		status  int
		length  int64 // Content-Length; -1: none
		typ     string
		body    string
	}{
		{"nothing", "GET", func(w http.ResponseWriter, r *http.Request) {}, 200, 0, "", ""},
		{"a status", "GET", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(418) }, 418, 0, "", ""},
		{"small", "GET", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }, 200, 6, "text/html; charset=utf-8", "<html>"},
		{"small in pieces", "GET", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("a")); io.WriteString(w, "b") }, 200, 2, "text/plain; charset=utf-8", "ab"},
		{"large", "GET", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(large)) }, 200, -1, "text/plain; charset=utf-8", large},
		{"large string in pieces", "GET", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, large[:10])
			io.WriteString(w, large[10:])
		}, 200, -1, "text/plain; charset=utf-8", large},
		{"flushed", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			io.WriteString(w, "a")
		}, 200, -1, "", "a"},
		{"own length and type", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100000")
			w.Header().Set("Content-Type", "a/b")
			w.Write([]byte(large))
		}, 200, 100000, "a/b", large},
		{"no type", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, "a")
		}, 200, 1, "", "a"},
		{"encoded", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, "a")
		}, 200, 1, "", "a"},
		{"malformed length", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "x")
			io.WriteString(w, "a")
		}, 200, 1, "text/plain; charset=utf-8", "a"},
		{"HEAD", "HEAD", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "abc") }, 200, 3, "text/plain; charset=utf-8", ""},
		{"HEAD of a large one", "HEAD", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(large)); w.Write([]byte(large)) }, 200, -1, "text/plain; charset=utf-8", ""},
		{"HEAD with own length", "HEAD", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "7") }, 200, 7, "", ""},
		{"HEAD without a body", "HEAD", func(w http.ResponseWriter, r *http.Request) {}, 200, -1, "", ""},
		{"204", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "7")
			w.WriteHeader(204)
		}, 204, 0, "", ""},
		{"304", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "7")
			w.WriteHeader(304)
		}, 304, 7, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.handler)
			r, _ := http.NewRequest(c.method, s.url(), nil)
			got, err := s.client(t).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			body, err := io.ReadAll(got.Body)
			if string(body) != c.body || err != nil && c.status != 304 { // net/http's client expects the body that is announced
				t.Errorf("a body of %d bytes, %v", len(body), err)
			}
			if got.StatusCode != c.status || got.ContentLength != c.length || got.Header.Get("Content-Type") != c.typ {
				t.Errorf("status %d, Content-Length %d, Content-Type %q", got.StatusCode, got.ContentLength, got.Header.Get("Content-Type"))
			}
			if _, err := http.ParseTime(got.Header.Get("Date")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatHTTP2DoesNotAllowIsNotSent(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for _, name := range []string{"Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
			h.Set(name, "x")
		}
		h["a b"] = []string{"x"}
		h["Bad"] = []string{"a\nb", " good "}
		h["Date"] = nil
		h["Content-Type"] = nil
	})
	got, err := s.client(t).Get(s.url())
	if err != nil {
		t.Fatal(err)
	}
	if want := (http.Header{"Bad": {"good"}, "Content-Length": {"0"}}); !reflect.DeepEqual(got.Header, want) {
		t.Errorf("%v, want %v", got.Header, want)
	}
}

func TestWritesThatAResponseCannotHave(t *testing.T) {
	errs := make(chan error, 3)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			w.Header().Set("Content-Length", "3")
			_, err := io.WriteString(w, "abcd")
			errs <- err
			io.WriteString(w, "abc")
			return
		}
		w.WriteHeader(304)
		_, err := w.Write([]byte("a"))
		errs <- err
		w.WriteHeader(200)
	})
	c := s.client(t)
	if got, err := c.Get(s.url()); err != nil || got.StatusCode != 304 {
		t.Errorf("%v, %v", got, err)
	}
	if err := await(t, errs, "error"); err != http.ErrBodyNotAllowed {
		t.Error(err)
	}
	got, err := c.Get(s.url() + "long")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(got.Body); string(body) != "abc" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if err := await(t, errs, "error"); err != http.ErrContentLength {
		t.Error(err)
	}
	if !strings.Contains(s.log.String(), "superfluous") {
		t.Errorf("log %q", s.log.String())
	}
}

func TestASmallResponseLeavesInOneWrite(t *testing.T) {
	var mu sync.Mutex
	writes, before := 0, 0
	respond := make(chan struct{})
	s := (&server{
		carrier: func(c transport.Conn) transport.Conn {
			return &countingCarrier{c, c.(transport.Pusher), c.(transport.Queue), &mu, &writes}
		},
		handler: func(w http.ResponseWriter, r *http.Request) {
			<-respond
			mu.Lock()
			before = writes
			mu.Unlock()
			io.WriteString(w, "hello")
		},
	}).start(t)
	c := s.dial(t)
	c.sync() // also answers the server's SETTINGS
	c.request(1, true, withGet())
	c.sync() // nothing remains that the server writes, which would end the Cork of the response
	close(respond)
	c.expect(tellHead(1, "200"), tellData(1, "hello", true))
	mu.Lock()
	defer mu.Unlock()
	if writes != before+1 {
		t.Errorf("%d writes", writes-before)
	}
}

func TestTrailersWithoutABody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set(http.TrailerPrefix+"A", "b") })
	c := s.dial(t)
	c.request(1, true, withGet())
	c.expect(tellHead(1, "200"), "1 HEADERS  END_STREAM")
}

func TestInformationalResponses(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.Header().Set("Content-Length", "1")
		w.WriteHeader(http.StatusSwitchingProtocols) // not in HTTP/2
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		io.WriteString(w, "a")
	})
	var hints textproto.MIMEHeader
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code != 103 || hints != nil {
			t.Errorf("status %d", code)
		}
		hints = h
		return nil
	}})
	r, _ := http.NewRequestWithContext(ctx, "GET", s.url(), nil)
	got, err := s.client(t).Do(r)
	if err != nil || got.StatusCode != 200 || got.Header.Get("Link") != "" {
		t.Errorf("%v, %v", got, err)
	}
	if want := (textproto.MIMEHeader{"Link": {"</a.css>"}}); !reflect.DeepEqual(hints, want) {
		t.Errorf("%v, want %v", hints, want)
	}
}

func TestConnectionCloseTellsTheClientToLeave(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") })
	c := s.dial(t)
	c.request(1, true, withGet())
	for goAway, head := false, false; !goAway || !head; {
		switch got := tell(c.next()); got {
		case "GOAWAY NO_ERROR":
			goAway = true
		case "1 HEADERS 200 END_STREAM":
			head = true
		default:
			t.Fatal(got)
		}
	}
}

func TestAConnectRequestCanBeTaken(t *testing.T) {
	errs := make(chan error, 3)
	s := &server{handler: func(w http.ResponseWriter, r *http.Request) {
		st, err := w.(*response).TakeStream(200, http.Header{"A": {"b"}})
		if err != nil {
			errs <- err
			return
		}
		_, err = w.(*response).TakeStream(200, nil)
		errs <- err
		_, err = w.Write([]byte("a"))
		errs <- err
		w.WriteHeader(500)
		errs <- http.NewResponseController(w).Flush()
		go func() {
			b := make([]byte, 3)
			_, err := io.ReadFull(readerFunc(st.Read), b)
			errs <- errors.Join(err, st.Writev(b), st.CloseWrite(), st.Close())
		}()
	}}
	s.conn.ReadTimeout, s.conn.WriteTimeout = time.Hour, time.Hour
	s.start(t)
	c := s.dial(t)
	c.request(1, false, fields(":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: a", ":path: /"))
	f, ok := c.next().(*http2.MetaHeadersFrame)
	if !ok || f.StreamEnded() || f.PseudoValue("status") != "200" || len(f.RegularFields()) != 2 {
		t.Fatalf("%v", f)
	}
	for range 3 {
		if err := await(t, errs, "error"); err == nil {
			t.Error("the handler has the response")
		}
	}
	c.WriteData(1, false, []byte("abc"))
	c.expect(tellData(1, "abc", false), tellData(1, "", true), "1 RST_STREAM NO_ERROR")
	if err := await(t, errs, "result"); err != nil {
		t.Error(err)
	}
	c.request(3, true, withGet())
	if err := await(t, errs, "error"); err == nil {
		t.Error("a GET was taken")
	}
}
