package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func TestConnectWithPipes(t *testing.T) {
	url, _ := startServer(t)
	for _, args := range [][]string{{}, {"-binary"}} {
		args = append([]string{"connect", "-count", "4"}, append(args, url)...)
		got := command(t.Context(), "one\ntwo\r\n\nlast", args...)
		if got.code != 0 || got.out != "one\ntwo\n\nlast\n" || got.err != "closed by us: 1000 (normal closure)\n" {
			t.Errorf("%+v", got)
		}
	}
}

func TestConnectSendsOnlyUTF8AsText(t *testing.T) {
	url, _ := startServer(t)
	got := command(t.Context(), "b\xffd\ngood\n", "connect", "-count", "1", url)
	if got.code != 1 || got.out != "good\n" || !strings.Contains(got.err, "not UTF-8") {
		t.Errorf("%+v", got)
	}
	got = command(t.Context(), "b\xffd\n", "connect", "-binary", "-count", "1", url)
	if got.code != 0 || got.out != "b\xffd\n" {
		t.Errorf("%+v", got)
	}
}

func TestConnectShowsHowThePeerCloses(t *testing.T) {
	for code, exit := range map[websock.CloseCode]int{websock.CloseNormal: 0, websock.CloseGoingAway: 0, websock.CloseInternalError: 6, 4000: 6} {
		url := startScriptedServer(t, func(conn *websock.Conn) {
			conn.RecvMessage(nil)
			conn.CloseWith(code, "enough")
		})
		got := command(t.Context(), "x\n", "connect", "-wait", "1m", url)
		if got.code != exit || !strings.Contains(got.err, code.String()+": enough") {
			t.Errorf("%v: %+v", code, got)
		}
	}
}

func TestInterruptedConnectClosesTheConnection(t *testing.T) {
	url, _ := startServer(t)
	ctx := interruptedAfter(t, 100*time.Millisecond)
	stdin, keep := io.Pipe()
	defer keep.Close()
	var out, stderr bytes.Buffer
	if code := run(ctx, []string{"connect", url}, stdin, &out, &stderr); code != 130 {
		t.Errorf("%d %s", code, stderr.String())
	}
}

func TestAnInterruptDoesNotWaitForAReaderOfTheOutput(t *testing.T) {
	url := startScriptedServer(t, func(conn *websock.Conn) {
		conn.SendText([]byte("long"))
		conn.RecvMessage(nil)
	})
	stdin, keep := io.Pipe()
	defer keep.Close()
	reader, stdout := io.Pipe()
	defer reader.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		io.ReadFull(reader, make([]byte, 1)) // the rest of the message waits
		interrupt()
	}()
	var stderr syncBuffer
	if code := run(ctx, []string{"connect", url}, stdin, stdout, &stderr); code != 130 {
		t.Errorf("%d %s", code, stderr.String())
	}
}

func TestInterruptWhileConnecting(t *testing.T) {
	stop := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer silent.Close()
	defer close(stop)
	ctx := interruptedAfter(t, 100*time.Millisecond)
	if got := command(ctx, "", "connect", "ws"+strings.TrimPrefix(silent.URL, "http")); got.code != 130 {
		t.Errorf("%+v", got)
	}
}

func TestConnectTimesOutWithoutAnAnswer(t *testing.T) {
	stop := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer silent.Close()
	defer close(stop)
	got := command(t.Context(), "", "connect", "-timeout", "100ms", "ws"+strings.TrimPrefix(silent.URL, "http"))
	if got.code != 3 {
		t.Errorf("%+v", got)
	}
}

func TestConnectLimitsTheLengthOfALine(t *testing.T) {
	const refusal = "a line of more than 16,777,216 bytes"
	var out, stderr syncBuffer
	url := startScriptedServer(t, func(conn *websock.Conn) {
		echoChanged(conn, func(op websock.Opcode, _ []byte) websock.Opcode {
			waitUntil(t, "the second line is refused", func() bool { return strings.Contains(stderr.String(), refusal) })
			return op
		})
	})
	endless := io.MultiReader(strings.NewReader("good\n"), endlessLine{})
	code := run(t.Context(), []string{"connect", "-count", "1", url}, endless, &out, &stderr)
	if code != 1 || out.String() != "good\n" || !strings.Contains(stderr.String(), refusal) {
		t.Errorf("%d %d bytes: %s", code, len(out.String()), stderr.String())
	}
}

func TestConnectExplainsARefusal(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", "Basic realm=here")
		http.Error(w, "who are you, "+r.Header.Get("X-Name")+"?", http.StatusUnauthorized)
	}))
	defer server.Close()
	got := command(t.Context(), "", "connect", "-header", "X-Name: nobody", "ws"+strings.TrimPrefix(server.URL, "http"))
	for _, text := range []string{"HTTP 401 Unauthorized", "Www-Authenticate: Basic realm=here", "who are you, nobody?"} {
		if got.code != 4 || !strings.Contains(got.err, text) {
			t.Errorf("no %q in %+v", text, got)
		}
	}
}

func TestConnectOffersSubprotocols(t *testing.T) {
	agreed := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, &websock.AcceptOptions{Subprotocols: []string{"second"}})
		if err != nil {
			t.Error(err)
			return
		}
		agreed <- conn.Subprotocol()
		conn.Close()
	}))
	defer server.Close()
	got := command(t.Context(), "", "connect", "-subprotocol", "first", "-subprotocol", "second", "ws"+strings.TrimPrefix(server.URL, "http"))
	if name := <-agreed; name != "second" || got.code != 0 {
		t.Errorf("%q %+v", name, got)
	}
}

func TestConnectHasAnExitCodeForEachFailure(t *testing.T) {
	secure, _ := startServer(t, "-tls")
	lost := startScriptedServer(t, func(conn *websock.Conn) {
		conn.RecvMessage(nil)
		conn.Abort(nil)
	})
	answers := func(answer string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			io.WriteString(conn, answer)
			conn.Close()
		}))
		t.Cleanup(server.Close)
		return "ws" + strings.TrimPrefix(server.URL, "http")
	}
	for url, code := range map[string]int{
		unusedURL:              3,
		"ws://nobody.invalid/": 3,
		secure:                 3,
		answers("HTTP/1.1 403 Forbidden\r\n\r\n"): 4,
		answers("hello\r\n\r\n"):                  4,
		answers(""):                               4,
		lost:                                      5,
	} {
		if got := command(t.Context(), "x\n", "connect", "-wait", "1m", url); got.code != code || got.err == "" {
			t.Errorf("%s: %+v, want %d", url, got, code)
		}
	}
}

func TestConnectWritesJSON(t *testing.T) {
	url := startScriptedServer(t, func(conn *websock.Conn) {
		conn.SendText([]byte("<text>"))
		conn.SendBinary([]byte{0, 255})
		conn.SendText(nil)
		conn.SendBinary(nil)
		conn.CloseWith(4000, "enough")
	})
	got := command(t.Context(), "", "connect", "--json", "-wait", "1m", url)
	want := []string{
		`"event":"open","remote":"127.0.0.1:`, `"event":"message","text":"<text>"}`, `"event":"message","binary":"AP8="}`,
		`"event":"message","text":""}`, `"event":"message","binary":""}`, `"event":"closed","code":4000,"reason":"enough","error":"`,
	}
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	if got.code != 6 || got.err != "" || len(lines) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, `{"time":"`) || !strings.Contains(line, want[i]) {
			t.Errorf("%s, want %s", line, want[i])
		}
	}
	url, _ = startServer(t)
	got = command(t.Context(), "x\n", "connect", "-json", "-wait", "100ms", url)
	if got.code != 0 || !strings.HasSuffix(got.out, `"event":"closed","code":1000,"local":true}`+"\n") {
		t.Errorf("%+v", got)
	}
	got = command(t.Context(), "", "connect", "-json", unusedURL)
	if got.code != 3 || !strings.Contains(got.out, `"event":"refused"`) || !strings.Contains(got.out, `: can't connect`) {
		t.Errorf("%+v", got)
	}
}

func TestConnectCompresses(t *testing.T) {
	url, _ := startServer(t, "-compress")
	line := strings.Repeat("compress ", 100)
	got := command(t.Context(), line+"\n", "connect", "-v", "-compress", "-count", "1", url)
	if got.code != 0 || got.out != line+"\n" || strings.Count(got.err, "RSV 100") != 2 {
		t.Errorf("%+v", got)
	}
}

func TestVerboseConnectShowsTheHandshakeAndFrames(t *testing.T) {
	for _, args := range [][]string{nil, {"-tls"}} {
		url, _ := startServer(t, args...)
		got := command(t.Context(), "hello\n", "connect", "-v", "-insecure", "-header", "X-Name: me", "-count", "1", url)
		if got.code != 0 || got.out != "hello\n" {
			t.Errorf("%+v", got)
		}
		want := []string{
			"* connecting to 127.0.0.1:", "* connected to 127.0.0.1:",
			"> GET / HTTP/1.1\n", "> X-Name: me\n", "> \n", "< HTTP/1.1 101 Switching Protocols\n", "< \n", "* open after ",
			"> text, 5 bytes, masked with ", `: "hello"`, "< text, 5 bytes: \"hello\"\n",
			"> close, 2 bytes, masked with ", ": 1000 (normal closure) \"\"\n", "< close, 2 bytes: 1000 (normal closure) \"\"\n",
		}
		if args != nil {
			want = slices.Insert(want, 2, "* TLS 1.3, TLS_", `* certificate of "CN=websock"`, "* which nobody has checked")
		}
		rest := got.err
		for _, text := range want {
			_, after, found := strings.Cut(rest, text)
			if !found {
				t.Errorf("no %q, or not in its place, in\n%s", text, got.err)
				break
			}
			rest = after
		}
	}
}
