package compat

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// servers returns a function that starts a server and returns its URL, and one that waits until all
// handlers have returned.
func servers(t *testing.T) (serve start, wait func()) {
	var handlers sync.RWMutex // those that run hold it for reading
	return func(h http.HandlerFunc) string {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handlers.RLock()
				defer handlers.RUnlock()
				h(w, r)
			}))
			t.Cleanup(server.Close)
			return "ws" + strings.TrimPrefix(server.URL, "http")
		}, func() {
			handlers.Lock()
			defer handlers.Unlock()
		}
}

// upgraded returns a handler that upgrades and echoes until the connection ends, and notes how that
// went.
func (l *library) upgraded(note func(string, ...any), header http.Header, o options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := l.upgrade(w, r, header, o)
		if err != nil {
			note("Upgrade fails")
			return
		}
		defer c.Close()
		note("upgraded, subprotocol %q", c.Subprotocol())
		for {
			messageType, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(messageType, p) != nil {
				return
			}
		}
	}
}

// A handshake notes what happens with a library as client, as server, or as both.
type handshake func(t *testing.T, lib *library, serve start, note func(string, ...any))

// A start starts a server, and returns its URL.
type start func(http.HandlerFunc) string

// dialed dials and notes the result.
func (l *library) dialed(note func(string, ...any), url string, header http.Header, o options) {
	c, response, err := l.dial(context.Background(), url, header, o)
	note("Dial %v", l.describe(err))
	if response != nil {
		body, _ := io.ReadAll(response.Body)
		note("status %d, header X %q, cookies %d, subprotocol %q, body %q", response.StatusCode, response.Header.Get("X"),
			len(response.Cookies()), response.Header.Get("Sec-Websocket-Protocol"), body)
	}
	if err == nil {
		note("subprotocol %q, message %v", c.Subprotocol(), c.WriteMessage(text, []byte("hello")))
		_, p, err := c.ReadMessage()
		note("echo %q %v", p, l.describe(err))
		c.Close()
	}
}

// requested sends an opening handshake with these headers, and notes the status of the response.
func requested(t *testing.T, note func(string, ...any), url string, change func(*http.Request)) {
	r, err := http.NewRequest("GET", "http"+strings.TrimPrefix(url, "ws"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	change(r)
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	note("status %d, X %q, subprotocol %q", response.StatusCode, response.Header.Get("X"), response.Header.Get("Sec-Websocket-Protocol"))
}

var handshakes = map[string]handshake{
	"an echo": func(t *testing.T, lib *library, serve start, note func(string, ...any)) {
		lib.dialed(note, serve(lib.upgraded(note, nil, options{})), nil, options{})
	},
	"the server refuses": func(t *testing.T, lib *library, serve start, note func(string, ...any)) {
		url := serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", "y")
			http.Error(w, "log in first", http.StatusUnauthorized)
		})
		lib.dialed(note, url, nil, options{})
	},
	"the server answers with a page": func(t *testing.T, lib *library, serve start, note func(string, ...any)) {
		lib.dialed(note, serve(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }), nil, options{})
	},
	"nobody listens": func(t *testing.T, lib *library, serve start, note func(string, ...any)) {
		lib.dialed(note, "ws://127.0.0.1:1/", nil, options{})
	},
	"URLs": func(t *testing.T, lib *library, serve start, note func(string, ...any)) {
		for _, url := range []string{"http://127.0.0.1:1/", "ws://user:password@127.0.0.1:1/", "", "ws://127.0.0.1:port/", "%"} {
			lib.dialed(note, url, nil, options{})
		}
	},
	"the server doesn't answer": func(t *testing.T, lib *library, serve start, note func(string, ...any)) {
		url := serve(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		lib.dialed(note, url, nil, options{timeout: 20 * time.Millisecond})
	},
	"headers": func(t *testing.T, lib *library, serve start, note func(string, ...any)) {
		url := serve(func(w http.ResponseWriter, r *http.Request) {
			note("Host %q, Authorization %q, Origin %q", r.Host, r.Header.Get("Authorization"), r.Header.Get("Origin"))
			lib.upgraded(note, http.Header{"X": {"y"}, "Set-Cookie": {"a=b"}}, options{checkOrigin: func(*http.Request) bool { return true }})(w, r)
		})
		lib.dialed(note, url, http.Header{"Host": {"other.example"}, "Authorization": {"token"}, "Origin": {"http://x.example"}}, options{})
		for _, name := range []string{"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions"} {
			lib.dialed(note, url, http.Header{name: {"x"}}, options{})
		}
	},
	"cookies": func(t *testing.T, lib *library, serve start, note func(string, ...any)) {
		jar, _ := cookiejar.New(nil)
		host := serve(func(w http.ResponseWriter, r *http.Request) {
			note("Cookie %q", r.Header.Get("Cookie"))
			lib.upgraded(note, http.Header{"Set-Cookie": {"session=7"}}, options{})(w, r)
		})
		lib.dialed(note, host, http.Header{"Cookie": {"own=1"}}, options{jar: jar})
		lib.dialed(note, host, nil, options{jar: jar})
		lib.dialed(note, host, http.Header{"Cookie": {"own=1"}}, options{jar: jar})
		u, _ := url.Parse("http" + strings.TrimPrefix(host, "ws"))
		note("in the jar %v", jar.Cookies(u))
	},
	"subprotocols": func(t *testing.T, lib *library, serve start, note func(string, ...any)) {
		for _, o := range []options{{subprotocols: []string{"a", "b"}}, {subprotocols: []string{"c"}}, {subprotocols: []string{}}, {}} {
			url := serve(lib.upgraded(note, nil, o))
			lib.dialed(note, url, nil, options{subprotocols: []string{"b", "a"}})
			lib.dialed(note, url, http.Header{"Sec-Websocket-Protocol": {"b, a"}}, options{})
			lib.dialed(note, url, http.Header{"Sec-Websocket-Protocol": {"b, a"}}, options{subprotocols: []string{"a"}})
		}
		chosen := serve(lib.upgraded(note, http.Header{"Sec-Websocket-Protocol": {"b"}}, options{}))
		lib.dialed(note, chosen, nil, options{subprotocols: []string{"a", "b"}})
	},
	"origins": func(t *testing.T, lib *library, serve start, note func(string, ...any)) {
		url := serve(lib.upgraded(note, http.Header{"X": {"y"}}, options{}))
		for _, origin := range []string{"", "http" + strings.TrimPrefix(url, "ws"), "http://x.example", "null", "%"} {
			requested(t, note, url, func(r *http.Request) { r.Header.Set("Origin", origin) })
		}
		requested(t, note, url, func(*http.Request) {})
		own := serve(lib.upgraded(note, nil, options{checkOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == "http://x.example" }}))
		requested(t, note, own, func(r *http.Request) { r.Header.Set("Origin", "http://x.example") })
		requested(t, note, own, func(*http.Request) {})
	},
	"requests that are no opening handshakes": func(t *testing.T, lib *library, serve start, note func(string, ...any)) {
		url := serve(lib.upgraded(note, nil, options{}))
		requested(t, note, url, func(r *http.Request) { r.Header.Del("Sec-Websocket-Key") })
		requested(t, note, url, func(r *http.Request) { r.Method = "POST" })
		requested(t, note, url, func(r *http.Request) { r.Header.Set("Sec-Websocket-Key", "short") })
	},
}

func TestHandshakesEndAsWithGorilla(t *testing.T) {
	for name, h := range handshakes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			noted := func(lib *library) (lines []string) {
				var mu sync.Mutex
				serve, wait := servers(t)
				h(t, lib, serve, func(format string, args ...any) {
					mu.Lock()
					defer mu.Unlock()
					lines = append(lines, fmt.Sprintf(format, args...))
				})
				wait()
				slices.Sort(lines) // those of the server come at times of their own
				return lines
			}
			if want, got := noted(&theirs), noted(&ours); !slices.Equal(got, want) {
				t.Errorf("compat/gorilla:\n  %s\nwant, as of gorilla:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
		})
	}
}

func TestRequestsForPagesGetTheStatusThatNamesTheProtocol(t *testing.T) {
	for _, name := range []string{"Connection", "Upgrade"} {
		for lib, want := range map[*library]string{&theirs: "status 400", &ours: "status 426"} {
			serve, _ := servers(t)
			url := serve(lib.upgraded(func(string, ...any) {}, nil, options{}))
			requested(t, func(format string, args ...any) {
				if got := fmt.Sprintf(format, args...); !strings.HasPrefix(got, want) {
					t.Errorf("without %s: %s, want %s", name, got, want)
				}
			}, url, func(r *http.Request) { r.Header.Del(name) })
		}
	}
}

func TestTheLibrariesTalkToEachOtherCompressed(t *testing.T) {
	for name, pair := range map[string][2]*library{"our client": {&ours, &theirs}, "our server": {&theirs, &ours}, "both ours": {&ours, &ours}} {
		client, server := pair[0], pair[1]
		serve, _ := servers(t)
		url := serve(server.upgraded(func(string, ...any) {}, nil, options{compress: true}))
		c, response, err := client.dial(t.Context(), url, nil, options{compress: true})
		if err != nil {
			t.Fatal(err)
		}
		if extensions := response.Header.Get("Sec-Websocket-Extensions"); !strings.Contains(extensions, "permessage-deflate") {
			t.Errorf("%s: agreed on %q", name, extensions)
		}
		c.SetReadLimit(100_000)
		for _, message := range []string{"", "short", strings.Repeat("long and ", 11_000)} {
			if err := c.WriteMessage(text, []byte(message)); err != nil {
				t.Error(name, err)
			}
			if _, p, err := c.ReadMessage(); string(p) != message || err != nil {
				t.Errorf("%s: %q, %v", name, cut(string(p)), err)
			}
		}
		c.Close()
	}
}
