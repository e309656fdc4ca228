package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestConnectOverHTTP2(t *testing.T) {
	for _, serverFlags := range [][]string{{"-h2c"}, {"-tls"}, {"-h2c", "-compress"}} {
		url, _ := startServer(t, serverFlags...)
		for _, flags := range [][]string{{"-h2", "-compress"}, nil} { // the server speaks both
			args := append([]string{"connect", "-insecure", "-json", "-count", "1"}, flags...)
			got := command(t.Context(), "hello\n", append(args, url)...)
			protocol := `"protocol":"HTTP/1.1"`
			if flags != nil {
				protocol = `"protocol":"HTTP/2"`
			}
			if got.code != 0 || got.err != "" || !strings.Contains(got.out, `"text":"hello"`) || !strings.Contains(got.out, protocol) {
				t.Errorf("%v %v: %+v", serverFlags, flags, got)
			}
		}
	}
}

func TestConnectTellsThatTheServerHasNoHTTP2(t *testing.T) {
	url, trust := startServerWithHTTP1(t)
	args := append([]string{"connect", "-h2", "-count", "1"}, trust...)
	got := command(t.Context(), "hello\n", append(args, url)...)
	if got.code != 0 || got.out != "hello\n" || !strings.HasPrefix(got.err, "HTTP/1.1: the server offers no WebSockets over HTTP/2\n") {
		t.Errorf("%+v", got)
	}
	got = command(t.Context(), "hello\n", append(args, "-v", url)...)
	if got.code != 0 || got.out != "hello\n" || !strings.Contains(got.err, "< text, 5 bytes: \"hello\"\n") {
		t.Errorf("%+v", got)
	}
}

func TestConnectByPriorKnowledgeToAServerWithoutHTTP2(t *testing.T) {
	url, _ := startServer(t)
	got := command(t.Context(), "", "connect", "-h2", "-v", url)
	for _, text := range []string{"< no HTTP/2: \"HTTP/1.1 4", "the peer speaks HTTP/1.1"} {
		if got.code != 4 || !strings.Contains(got.err, text) {
			t.Errorf("no %q in %+v", text, got)
		}
	}
}

func TestVerboseConnectShowsTheFramesOfHTTP2(t *testing.T) {
	for _, serverFlag := range []string{"-h2c", "-tls"} {
		url, _ := startServer(t, serverFlag)
		got := command(t.Context(), "hello\n", "connect", "-h2", "-v", "-insecure", "-count", "1",
			"-header", "X-Name: me", "-header", "Authorization: Basic c2VjcmV0", url)
		if got.code != 0 || got.out != "hello\n" {
			t.Errorf("%+v", got)
		}
		if strings.Contains(got.err, "c2VjcmV0") {
			t.Errorf("it shows a password: %s", got.err)
		}
		want := []string{
			"> HTTP/2 preface\n", "> HTTP/2 SETTINGS, stream 0, 24 bytes: ", "> HTTP/2 WINDOW_UPDATE, stream 0, 4 bytes: ",
			"> HTTP/2 HEADERS, stream 1, END_HEADERS, ", ">   :method: CONNECT\n", ">   :protocol: websocket\n", ">   :path: /\n",
			"< HTTP/2 HEADERS, stream 1, END_HEADERS, ", "<   :status: 200\n", "* open after ",
			"> HTTP/2 DATA, stream 1, 11 bytes\n", "> text, 5 bytes, masked with ", `: "hello"`,
			"< HTTP/2 DATA, stream 1, 7 bytes\n", "< text, 5 bytes: \"hello\"\n",
			"> close, 2 bytes, masked with ", "< close, 2 bytes: 1000 (normal closure) \"\"\n",
			"> HTTP/2 GOAWAY, stream 0, 8 bytes: last stream 0, NO_ERROR \"\"\n",
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
		for _, text := range []string{
			"ENABLE_CONNECT_PROTOCOL 1", "> HTTP/2 SETTINGS, stream 0, ACK, 0 bytes\n", ">   x-name: me\n", ">   authorization: xxxxx\n",
		} {
			if !strings.Contains(got.err, text) {
				t.Errorf("no %q in\n%s", text, got.err)
			}
		}
	}
}

func TestVerboseConnectHidesCredentials(t *testing.T) {
	url, _ := startServer(t)
	got := command(t.Context(), "", "connect", "-v", "-wait", "0s", "-header", "Authorization: Basic c2VjcmV0", "-header", "Cookie: id=c2VjcmV0", url)
	if got.code != 0 || strings.Contains(got.err, "c2VjcmV0") || !strings.Contains(got.err, "> Authorization: xxxxx\n") || !strings.Contains(got.err, "> Cookie: xxxxx\n") {
		t.Errorf("%+v", got)
	}
}

func TestVerboseConnectHidesCredentialsOfAnUnusualResponse(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nSet-Cookie:c2VjcmV0\r\nset-cookie:\tc2VjcmV0\r\nContent-Length: 0\r\n\r\n")
	}))
	defer server.Close()
	got := command(t.Context(), "", "connect", "-v", "ws"+strings.TrimPrefix(server.URL, "http"))
	if got.code != 4 || strings.Contains(got.err, "c2VjcmV0") || !strings.Contains(got.err, "< Set-Cookie: xxxxx\n") {
		t.Errorf("%+v", got)
	}
}
