package httpserver

import (
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestBodiesInBothDirections(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("X-Length", r.Header.Get("Content-Length"))
		io.Copy(w, r.Body)
	})
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
	for name, body := range map[string]io.Reader{"with a length": bytes.NewReader(sent), "without a length": io.MultiReader(bytes.NewReader(sent))} {
		got, err := s.client(t).Post(s.url(), "a/b", body)
		if err != nil {
			t.Fatal(name, err)
		}
		received, err := io.ReadAll(got.Body)
		if err != nil || !bytes.Equal(received, sent) {
			t.Errorf("%s: %d bytes, %v", name, len(received), err)
		}
		if has := got.Header.Get("X-Length") != ""; has != (name == "with a length") {
			t.Errorf("%s: %v", name, got.Header)
		}
	}
}

func TestTrailers(t *testing.T) {
	received := make(chan http.Header, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Digest")
		io.Copy(w, r.Body)
		received <- r.Trailer
		w.Header().Set("Digest", "d")
		w.Header().Set(http.TrailerPrefix+"More", "m")
	})
	r, _ := http.NewRequest("POST", s.url(), struct{ io.Reader }{strings.NewReader("abc")})
	r.Trailer = http.Header{"Sum": {"6"}}
	got, err := s.client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(got.Body); string(body) != "abc" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if want := (http.Header{"Digest": {"d"}, "More": {"m"}}); !reflect.DeepEqual(got.Trailer, want) {
		t.Errorf("the client received %v, want %v", got.Trailer, want)
	}
	if trailer := await(t, received, "trailer"); !reflect.DeepEqual(trailer, http.Header{"Sum": {"6"}}) {
		t.Errorf("the server received %v", trailer)
	}
}

func TestStatus100IsSentWhenTheBodyIsRead(t *testing.T) {
	read := func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }
	declined := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(413) }
	late := func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		io.Copy(w, r.Body)
	}
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    []string
	}{
		{"read", read, []string{"1 HEADERS 100", tellHead(1, "200"), tellData(1, "abc", true)}},
		{"declined", declined, []string{"1 HEADERS 413 END_STREAM", "1 RST_STREAM NO_ERROR"}},
		{"read after the header", late, []string{tellHead(1, "200"), tellData(1, "abc", true)}},
	} {
		s := serve(t, c.handler)
		client := s.dial(t)
		client.request(1, false, withGet("expect: 100-continue", "content-length: 3"))
		if c.name != "declined" {
			client.expect(c.want[0])
			c.want = c.want[1:]
			client.WriteData(1, true, []byte("abc"))
		}
		client.expect(c.want...)
	}
}

func TestAHandlerThatReadsNoBodyEndsTheStream(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "enough") })
	c := s.dial(t)
	c.request(1, false, withGet())
	c.WriteData(1, false, []byte("abc"))
	c.expect(tellHead(1, "200"), tellData(1, "enough", true), "1 RST_STREAM NO_ERROR")
	// net/http's client takes that as a response.
	got, err := s.client(t).Post(s.url(), "a/b", io.MultiReader(neverEnding('x')))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(got.Body); string(body) != "enough" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

// neverEnding is a reader.
type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

func TestABodyOfAnotherLengthIsReset(t *testing.T) {
	errs := make(chan error, 2)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		errs <- err
	})
	c := s.dial(t)
	c.request(1, false, withGet("content-length: 3"))
	c.WriteData(1, true, []byte("ab"))
	c.expect("1 RST_STREAM PROTOCOL_ERROR")
	c.request(3, false, withGet("content-length: 3"))
	c.WriteData(3, false, []byte("abcd"))
	c.expect("3 RST_STREAM PROTOCOL_ERROR")
	for range 2 {
		if err := await(t, errs, "error"); err == nil {
			t.Error("no error")
		}
	}
}

func TestClosingTheBodyEndsARead(t *testing.T) {
	result := make(chan error, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		reading := make(chan struct{})
		read := make(chan error, 1)
		go func() {
			close(reading)
			_, err := r.Body.Read(make([]byte, 1))
			read <- err
		}()
		<-reading
		r.Body.Close()
		result <- <-read
	})
	c := s.dial(t)
	c.request(1, false, withGet())
	if err := await(t, result, "end of Read"); err != http.ErrBodyReadAfterClose {
		t.Error(err)
	}
}
