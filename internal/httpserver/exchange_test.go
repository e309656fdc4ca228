package httpserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func TestACancelledRequestEndsItsContextAndItsWrites(t *testing.T) {
	started, ended := make(chan struct{}), make(chan error, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		close(started)
		<-w.(interface{ CloseNotify() <-chan bool }).CloseNotify() // which gin's Context.Stream calls without asking
		if r.Context().Err() == nil {
			t.Error("the request's context has not ended")
		}
		_, err := w.Write(make([]byte, 100_000))
		ended <- err
	})
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", s.url(), nil)
	got, err := s.client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	await(t, started, "request")
	cancel()
	if err := await(t, ended, "end"); err == nil {
		t.Error("the response can still be written")
	}
}

func TestDeadlines(t *testing.T) {
	results := make(chan error, 2)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if r.URL.Path == "/read" {
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := r.Body.Read(make([]byte, 1))
			results <- err
			c.SetReadDeadline(time.Time{})
			_, err = io.ReadFull(r.Body, make([]byte, 3)) // a timeout is harmless
			results <- err
			return
		}
		c.SetWriteDeadline(time.Now().Add(time.Millisecond))
		var err error
		for err == nil {
			_, err = w.Write(make([]byte, 10_000))
		}
		results <- err
	})
	c := s.dial(t)
	c.request(1, false, fields(":method: POST", ":scheme: http", ":authority: a", ":path: /read"))
	if err := await(t, results, "timeout"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("read:", err)
	}
	c.WriteData(1, true, []byte("abc"))
	if err := await(t, results, "body"); err != nil {
		t.Error("read after the deadline:", err)
	}
	c.expect("1 HEADERS 200 END_STREAM")
	c.request(3, true, withGet())
	if err := await(t, results, "timeout"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("write:", err)
	}
	for {
		f := c.next()
		if _, ok := f.(*http2.DataFrame); !ok && tell(f) != tellHead(3, "200") {
			if got := tell(f); got != "3 RST_STREAM INTERNAL_ERROR" {
				t.Error(got)
			}
			break
		}
	}
}

func TestTimeoutsOfTheServer(t *testing.T) {
	result := make(chan error, 1)
	s := &server{handler: func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			_, err := io.ReadAll(r.Body)
			result <- err
			return
		}
		var err error
		for err == nil {
			_, err = w.Write(make([]byte, 10_000))
		}
		result <- err
	}}
	s.conn.ReadTimeout, s.conn.WriteTimeout = 5*time.Millisecond, 50*time.Millisecond
	s.start(t)
	c := s.dial(t)
	c.request(1, false, fields(":method: POST", ":scheme: http", ":authority: a", ":path: /"))
	if err := await(t, result, "ReadTimeout"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	c.request(3, true, withGet())
	if err := await(t, result, "WriteTimeout"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestAPanicEndsTheStreamOnly(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			io.WriteString(w, "not to be sent")
			panic("my reason")
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/goexit":
			runtime.Goexit()
		}
	})
	c := s.client(t)
	for _, path := range []string{"abort", "goexit", "panic"} {
		if got := s.log.String(); got != "" {
			t.Errorf("log %q", got)
		}
		if _, err := c.Get(s.url() + path); codeOf(err) != "INTERNAL_ERROR" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if got := s.log.String(); !strings.Contains(got, "my reason") || !strings.Contains(got, "exchange_test.go") {
		t.Errorf("log %q", got)
	}
	if got, err := c.Get(s.url()); err != nil || got.StatusCode != 200 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAResponseAfterItsHandlerIsHarmless(t *testing.T) {
	kept := make(chan http.ResponseWriter, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a")
		kept <- w
	})
	c := s.dial(t)
	c.request(1, true, withGet())
	c.expect(tellHead(1, "200"), tellData(1, "a", true))
	w := await(t, kept, "response")
	control := http.NewResponseController(w)
	for i := 0; !w.(*response).over(); i++ { // the handler may not have returned quite yet
		if i == 10_000 {
			t.Fatal("the handler has not returned")
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := w.Write(nil); err != errReturned {
		t.Error(err)
	}
	w.WriteHeader(500)
	if err := errors.Join(control.Flush(), control.SetReadDeadline(time.Now()), control.SetWriteDeadline(time.Now())); err == nil {
		t.Error("no errors")
	}
}
