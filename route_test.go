package websock

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed004e8d11/websock/transport/std"
)

func TestWhatAProxyAnswersIsNeverFollowed(t *testing.T) {
	var stolen atomic.Int32
	thief, roots := tlsServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stolen.Add(1)
		echo(t, nil)(w, r)
	}), nil)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https"+strings.TrimPrefix(thief, "wss")+"/")
		w.WriteHeader(http.StatusFound)
	}))
	defer proxy.Close()
	for _, url := range []string{"ws://feed.example/", "wss://feed.example/"} {
		_, err := Dial(t.Context(), url, &Config{
			Proxy:        by(proxy.URL),
			MaxRedirects: 5,
			TLS:          &tls.Config{RootCAs: roots},
			Header:       http.Header{"Authorization": {"secret"}},
		})
		var failed *HandshakeError
		if !errors.As(err, &failed) || failed.Status != http.StatusFound || failed.Proxy != proxy.Listener.Addr().String() {
			t.Errorf("%s: %v", url, err)
		}
	}
	if stolen.Load() != 0 {
		t.Errorf("%d connections went where the proxy pointed", stolen.Load())
	}
}

// told is a server's handler that notes what the headers of all requests were, and
// redirects them to location, or echoes if that is "".
func told(t *testing.T, got *[]string, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*got = append(*got, r.Host+" "+r.Header.Get("Authorization")+r.Header.Get("Cookie")+r.Header.Get("X-Own"))
		if location == "" {
			echo(t, nil)(w, r)
			return
		}
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusPermanentRedirect)
	}
}

func TestAHeaderGoesToTheSameHostOnceItIsSecure(t *testing.T) {
	var got []string
	secure, roots := tlsServer(t, told(t, &got, ""), nil)
	plain := server(t, told(t, &got, secure+"/"))
	c, err := Dial(t.Context(), plain, &Config{
		MaxRedirects: 1,
		TLS:          &tls.Config{RootCAs: roots},
		Header:       http.Header{"Authorization": {"a"}, "Cookie": {"c"}, "X-Own": {"o"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if want := plain[5:] + " aco," + secure[6:] + " aco"; strings.Join(got, ",") != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAHeaderDoesNotComeBackWithALaterRedirect(t *testing.T) {
	var got []string
	home := httptest.NewUnstartedServer(nil)
	away := server(t, told(t, &got, "http://"+home.Listener.Addr().String()+"/back"))
	home.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		location := away
		if r.URL.Path == "/back" {
			location = ""
		}
		told(t, &got, location)(w, r)
	})
	home.Start()
	defer home.Close()
	at := home.Listener.Addr().String()
	c, err := Dial(t.Context(), "ws://"+at, &Config{
		MaxRedirects: 2,
		HostHeader:   "virtual.example",
		Header:       http.Header{"Authorization": {"a"}, "X-Own": {"o"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if want := "virtual.example ao," + away[5:] + " ," + at + " "; strings.Join(got, ",") != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestARedirectThatIsNotFollowedKeepsTheAnswer(t *testing.T) {
	for _, location := range []string{
		"ftp://elsewhere/", "//user@elsewhere/", "//elsewhere:99999/", "ws+unix:///s.sock", "ws://h\x7f/", "//-ü-/",
	} {
		url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			defer conn.Close()
			conn.Write([]byte("HTTP/1.1 302 Found\r\nX-Own: o\r\nLocation: " + location + "\r\nContent-Length: 4\r\n\r\ngone"))
		}))
		_, err := Dial(t.Context(), url, &Config{MaxRedirects: 3})
		var failed *HandshakeError
		if !errors.As(err, &failed) {
			t.Errorf("%s: %v", location, err)
			continue
		}
		if strings.Contains(location, "\x7f") { // no proper HTTP at all
			continue
		}
		if failed.Status != http.StatusFound || failed.Header.Get("Location") != location || failed.Header.Get("X-Own") != "o" || string(failed.Body) != "gone" {
			t.Errorf("%s: %+v", location, failed)
		}
	}
}

func TestTLSIsNotLostByARedirect(t *testing.T) {
	var got []string
	plain := server(t, told(t, &got, ""))
	secure, roots := tlsServer(t, told(t, &got, plain), nil)
	_, err := Dial(t.Context(), secure, &Config{
		MaxRedirects: 3, TLS: &tls.Config{RootCAs: roots}, RedirectHeader: []string{"X-Own"}, Header: http.Header{"X-Own": {"o"}},
	})
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != http.StatusPermanentRedirect || len(got) != 1 {
		t.Errorf("%v; asked %q", err, got)
	}
}

func TestTheHostHeaderCanDifferFromTheAddress(t *testing.T) {
	var got []string
	url := server(t, told(t, &got, ""))
	c, err := Dial(t.Context(), url, &Config{HostHeader: "feed.example:8443"})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if got[0] != "feed.example:8443 " {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"a b", "h\r\nX: y", "h/x\n", "ü"} {
		if _, err := Dial(t.Context(), url, &Config{HostHeader: bad}); err == nil {
			t.Errorf("HostHeader %q is sent", bad)
		}
	}
	if len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestAURLMayBeAsPeopleWriteIt(t *testing.T) {
	var got string
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			conn, _, _ := http.NewResponseController(w).Hijack()
			conn.Write([]byte("HTTP/1.1 302 Found\r\nLocation: /näher dran?wo=hier und da\r\nContent-Length: 0\r\n\r\n"))
			conn.Close()
			return
		}
		got = r.Host + r.RequestURI
		echo(t, nil)(w, r)
	}))
	addr := strings.TrimPrefix(url, "ws://")
	_, port, _ := net.SplitHostPort(addr)
	for raw, want := range map[string]string{
		"http://bücher.example:" + port + "/ä ö?ü=a b": "xn--bcher-kva.example:" + port + "/%C3%A4%20%C3%B6?%C3%BC=a%20b",
		"ws://bücher.example:" + port + "/moved":       "xn--bcher-kva.example:" + port + "/n%C3%A4her%20dran?wo=hier%20und%20da",
	} {
		c, err := Dial(t.Context(), raw, &Config{Proxy: NoProxy, NetDial: dialTo(addr), MaxRedirects: 1, Transport: std.Transport()})
		if err != nil {
			t.Error(raw, err)
			continue
		}
		roundTrip(t, c)
		if got != want {
			t.Errorf("%s: asked %q, want %q", raw, got, want)
		}
	}
}
