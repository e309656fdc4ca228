package websock

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestRedirects(t *testing.T) {
	var credentials []string
	target := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credentials = append(credentials, r.Header.Get("Authorization")+r.Header.Get("Cookie")+r.Header.Get("X-Own"))
		echo(t, nil)(w, r)
	}))
	var base string
	base = server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(w, r, target+"/there", http.StatusTemporaryRedirect)
		case "/same":
			http.Redirect(w, r, "/end", http.StatusMovedPermanently)
		case "/loop":
			http.Redirect(w, r, base+"/loop", http.StatusFound)
		default:
			credentials = append(credentials, r.Header.Get("Authorization")+r.Header.Get("Cookie")+r.Header.Get("X-Own"))
			echo(t, nil)(w, r)
		}
	}))
	header := http.Header{"Authorization": {"a"}, "Cookie": {"c"}, "X-Own": {"o"}}
	listed := []string{"x-own", "Authorization", "cookie"}
	for _, test := range []struct {
		path    string
		most    int
		allowed []string
		status  int
		sent    string
	}{
		{"/elsewhere", 0, nil, 307, ""},
		{"/elsewhere", 1, nil, 0, ""},
		{"/elsewhere", 1, listed, 0, "o"},
		{"/same", 1, nil, 0, "aco"},
		{"/loop", 5, nil, 302, ""},
	} {
		credentials = nil
		c, err := Dial(t.Context(), base+test.path, &Config{Header: header, MaxRedirects: test.most, RedirectHeader: test.allowed})
		var failed *HandshakeError
		if test.status != 0 {
			if !errors.As(err, &failed) || failed.Status != test.status {
				t.Errorf("%s: %v, want status %d", test.path, err, test.status)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.path, err)
			continue
		}
		roundTrip(t, c)
		if strings.Join(credentials, ",") != test.sent {
			t.Errorf("%s: the target got %q, want %q", test.path, credentials, test.sent)
		}
	}
}

func TestARedirectThatIsNotFollowedSaysWhy(t *testing.T) {
	url := server(t, http.RedirectHandler("ftp://elsewhere/", http.StatusFound))
	_, err := Dial(t.Context(), url, &Config{MaxRedirects: 1})
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != http.StatusFound || !strings.Contains(err.Error(), "ftp") {
		t.Errorf("%v", err)
	}
}

func TestARedirectThatIsNotFollowedHasTheResponse(t *testing.T) {
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

func TestHeadersAreSentAfterARedirectToTLSOnTheSameHost(t *testing.T) {
	var got []string
	secure, roots := tlsServer(t, recordHeaders(t, &got, ""), nil)
	plain := server(t, recordHeaders(t, &got, secure+"/"))
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

func TestHeadersStayDroppedAfterARedirectBack(t *testing.T) {
	var got []string
	home := httptest.NewUnstartedServer(nil)
	away := server(t, recordHeaders(t, &got, "http://"+home.Listener.Addr().String()+"/back"))
	home.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		location := away
		if r.URL.Path == "/back" {
			location = ""
		}
		recordHeaders(t, &got, location)(w, r)
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

func TestARedirectFromWSSToWSIsNotFollowed(t *testing.T) {
	var got []string
	plain := server(t, recordHeaders(t, &got, ""))
	secure, roots := tlsServer(t, recordHeaders(t, &got, plain), nil)
	_, err := Dial(t.Context(), secure, &Config{
		MaxRedirects: 3, TLS: &tls.Config{RootCAs: roots}, RedirectHeader: []string{"X-Own"}, Header: http.Header{"X-Own": {"o"}},
	})
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != http.StatusPermanentRedirect || len(got) != 1 {
		t.Errorf("%v; asked %q", err, got)
	}
}

func TestRedirectsOfAProxyAreNeverFollowed(t *testing.T) {
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
			Proxy:        proxyAt(proxy.URL),
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
