//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// startListen runs "websock listen" with a shell script for each connection.
func startListen(t *testing.T, script string, flags ...string) (url string, interrupt func() outcome) {
	t.Helper()
	return startProgram(t, new(syncBuffer), slices.Concat([]string{"listen"}, flags, []string{"0", "--", "sh", "-c", script})...)
}

// dialListen dials a connection that is aborted when the test ends.
func dialListen(t *testing.T, url string, config *websock.Config) *websock.Conn {
	t.Helper()
	conn, err := websock.Dial(t.Context(), url, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Abort(nil) })
	return conn
}

// recvText receives a text message.
func recvText(t *testing.T, conn *websock.Conn) string {
	t.Helper()
	op, msg, err := conn.RecvMessage(nil)
	if err != nil || op != websock.OpText {
		t.Fatalf("%v %q, %v", op, msg, err)
	}
	return string(msg)
}

// wantClose receives the end of a connection, and closes it.
func wantClose(t *testing.T, conn *websock.Conn, code websock.CloseCode, reason string) {
	t.Helper()
	_, msg, err := conn.RecvMessage(nil)
	conn.Close()
	var closed *websock.CloseError
	if !errors.As(err, &closed) || closed.Local || closed.Code != code || !strings.Contains(closed.Reason, reason) {
		t.Errorf("%q, %v; want %v %q", msg, err, code, reason)
	}
}

// recvPID receives the number of a process.
func recvPID(t *testing.T, conn *websock.Conn) int {
	t.Helper()
	pid, err := strconv.Atoi(recvText(t, conn))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// awaitEnd waits until a process has ended.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	for range 6000 {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // of Linux
		if isZombie := bytes.Contains(stat, []byte(") Z ")); isZombie || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d runs on", pid)
	syscall.Kill(pid, syscall.SIGKILL)
}

func TestListenPassesLinesOn(t *testing.T) {
	url, interrupt := startListen(t, `while read -r line; do echo "got $line"; done; echo bye >&2`)
	if !strings.HasPrefix(url, "ws://127.0.0.1:") {
		t.Errorf("a port alone is of the loopback interface, not %s", url)
	}
	got := command(t.Context(), "one\ntwo words\nü\n", "connect", "-count", "3", url)
	if got.code != 0 || got.out != "got one\ngot two words\ngot ü\n" {
		t.Errorf("%+v", got)
	}
	if end := interrupt(); end.code != 0 || !strings.HasPrefix(end.err, "127.0.0.1:") || !strings.HasSuffix(end.err, ": bye\n") {
		t.Errorf("%+v", end)
	}
}

func TestListenPassesBytesOn(t *testing.T) {
	url, _ := startListen(t, `cat`, "-binary")
	conn := dialListen(t, url, nil)
	if err := errors.Join(conn.SendText([]byte("a\n")), conn.SendBinary([]byte{0, 255})); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for len(got) < 4 {
		op, msg, err := conn.RecvMessage(got)
		if err != nil || op != websock.OpBinary {
			t.Fatalf("%v %q, %v", op, msg, err)
		}
		got = msg
	}
	if string(got) != "a\n\x00\xff" {
		t.Errorf("%q", got)
	}
}

func TestTheEndOfACommandClosesItsConnection(t *testing.T) {
	for _, test := range []struct {
		script string
		grace  string
		code   websock.CloseCode
		reason string
	}{
		{"printf last", "1m", websock.CloseNormal, ""},
		{"printf last; exit 3", "1m", websock.CloseInternalError, "exit status 3"},
		{"printf last; kill -9 $$", "1m", websock.CloseInternalError, "signal: killed"},
		{"printf last; exec 0<&- 1>&- 2>&-; exit 4", "1m", websock.CloseInternalError, "exit status 4"},
		{`printf 'last\n\377\n'; sleep 100`, "100ms", websock.CloseInternalError, "not UTF-8"},
		{`printf 'last\n%01001d\n' 1; sleep 100`, "100ms", websock.CloseInternalError, "more than 1,000 bytes"},
	} {
		url, _ := startListen(t, test.script, "-max-message", "1000", "-grace", test.grace)
		conn := dialListen(t, url, nil)
		if got := recvText(t, conn); got != "last" {
			t.Errorf("%s: %q", test.script, got)
		}
		wantClose(t, conn, test.code, test.reason)
	}
}

func TestALineMayBeAsLongAsAMessage(t *testing.T) {
	url, _ := startListen(t, `cat`, "-max-message", "100000")
	conn := dialListen(t, url, nil)
	long := strings.Repeat("x", 100000)
	conn.SendText([]byte(long))
	if got := recvText(t, conn); got != long {
		t.Errorf("%d bytes", len(got))
	}
	conn.SendText([]byte(long + "x"))
	wantClose(t, conn, websock.CloseMessageTooBig, "")
}

// The command gets the end of its input first, then SIGTERM, and is killed at last. So are the processes
// that it has started.
func TestTheEndOfAConnectionEndsItsCommand(t *testing.T) {
	for name, script := range map[string]string{
		"reads its input":           `echo $$; cat >/dev/null`,
		"doesn't read its input":    `echo $$; exec sleep 1000`,
		"ignores SIGTERM":           `trap '' TERM; echo $$; while :; do sleep 1; done`,
		"waits for another process": `sleep 1000 & echo $!; wait`,
		"leaves another process":    `sleep 1000 & echo $!; cat >/dev/null`,
		"floods":                    `echo $$; exec yes`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, interrupt := startListen(t, script, "-grace", "50ms")
			polite, rude := dialListen(t, url, nil), dialListen(t, url, nil)
			first, second := recvPID(t, polite), recvPID(t, rude)
			rude.Abort(nil)
			polite.Close()
			awaitEnd(t, first)
			awaitEnd(t, second)
			last := dialListen(t, url, nil)
			third := recvPID(t, last)
			go func() {
				for err := error(nil); err == nil; _, _, err = last.RecvMessage(nil) {
				}
				last.Close()
			}()
			if end := interrupt(); end.code != 0 {
				t.Errorf("%+v", end)
			}
			awaitEnd(t, third)
		})
	}
}

func TestAProcessThatACommandLeavesBehindEndsWithIt(t *testing.T) {
	url, _ := startListen(t, `sleep 1000 & echo $!`, "-grace", "50ms")
	conn := dialListen(t, url, nil)
	pid := recvPID(t, conn)
	wantClose(t, conn, websock.CloseNormal, "")
	awaitEnd(t, pid)
}

func TestTheOutputOfALeftProcessIsSentWithinTheGrace(t *testing.T) {
	url, _ := startListen(t, `{ sleep 0.1; echo later; } & echo now`, "-grace", "1m")
	conn := dialListen(t, url, nil)
	if now, later := recvText(t, conn), recvText(t, conn); now != "now" || later != "later" {
		t.Errorf("%q %q", now, later)
	}
	wantClose(t, conn, websock.CloseNormal, "")
}

func TestAnInterruptClosesConnectionsWithGoingAway(t *testing.T) {
	url, interrupt := startListen(t, `echo ready; cat`)
	conn := dialListen(t, url, nil)
	recvText(t, conn)
	go interrupt()
	wantClose(t, conn, websock.CloseGoingAway, "")
	if end := interrupt(); end.code != 0 || end.err != "" {
		t.Errorf("%+v", end)
	}
}

func TestACommandThatDoesNotReadHoldsUpItsClientAlone(t *testing.T) {
	t.Parallel() // it takes the timeout, which is longer than a machine stands still
	url, _ := startListen(t, `echo $$; exec sleep 1000`, "-timeout", "20s", "-grace", "50ms")
	conn := dialListen(t, url, nil)
	pid := recvPID(t, conn)
	failed := make(chan error, 1)
	go func() {
		for {
			if err := conn.SendText(make([]byte, 10000)); err != nil {
				failed <- err
				return
			}
		}
	}()
	wantClose(t, conn, websock.CloseTryAgainLater, "does not read")
	<-failed
	awaitEnd(t, pid)
}

func TestAnInterruptEndsACommandThatDoesNotRead(t *testing.T) {
	url, interrupt := startListen(t, `echo $$; exec sleep 1000`, "-timeout", "0s", "-grace", "50ms")
	conn := dialListen(t, url, nil)
	pid := recvPID(t, conn)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for conn.SendText(make([]byte, 10000)) == nil {
		}
	}()
	for before := int64(-1); ; time.Sleep(100 * time.Millisecond) { // until nothing more is taken
		taken, _ := conn.Outgoing()
		if taken == before {
			break
		}
		before = taken
	}
	ended := make(chan outcome, 1)
	go func() { ended <- interrupt() }()
	wantClose(t, conn, websock.CloseGoingAway, "")
	<-sent
	if end := <-ended; end.code != 0 {
		t.Errorf("%+v", end)
	}
	awaitEnd(t, pid)
}

func TestACommandThatClosesItsInputGoesOnSending(t *testing.T) {
	goOn := filepath.Join(t.TempDir(), "go on")
	url, _ := startListen(t, `exec 0<&-; echo closed; until test -e "`+goOn+`"; do sleep 0.05; done; echo later`)
	conn := dialListen(t, url, nil)
	recvText(t, conn)
	for range 100 {
		if err := conn.SendText([]byte("for nobody")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := recvText(t, conn); got != "later" {
		t.Errorf("%q", got)
	}
	wantClose(t, conn, websock.CloseNormal, "")
}

// The command can't write more than the system's buffers hold, and ends after the time of -timeout.
func TestAClientThatDoesNotReadHoldsUpItsCommand(t *testing.T) {
	t.Parallel() // it takes the timeout, which is longer than a machine stands still
	url, _ := startListen(t, `echo $$; exec yes`, "-timeout", "20s", "-grace", "50ms")
	conn := dialListen(t, url, &websock.Config{NetDial: dialWithSmallBuffer})
	pid := recvPID(t, conn)
	awaitEnd(t, pid)
}

func TestTheTimeoutIsOnlyForWhatIsSent(t *testing.T) {
	t.Parallel() // it takes longer than the timeout, which is longer than a machine stands still
	url, _ := startListen(t, `echo one; sleep 25; echo two`, "-timeout", "20s")
	conn := dialListen(t, url, nil)
	if one, two := recvText(t, conn), recvText(t, conn); one != "one" || two != "two" {
		t.Errorf("%q %q", one, two)
	}
}

func TestListenBoundsTheConnections(t *testing.T) {
	url, _ := startListen(t, `echo ready; cat`, "-max", "2", "-grace", "50ms")
	first, second := dialListen(t, url, nil), dialListen(t, url, nil)
	recvText(t, first)
	recvText(t, second)
	for range 200 { // more than there may be handshakes
		_, err := websock.Dial(t.Context(), url, nil)
		var refused *websock.HandshakeError
		if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" {
			t.Fatalf("%+v", err)
		}
	}
	first.Close()
	for range 6000 { // until the process has ended
		conn, err := websock.Dial(t.Context(), url, nil)
		if err == nil {
			recvText(t, conn)
			conn.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("there is room for none, although one has ended")
}

func TestListenDecidesWhoMayConnect(t *testing.T) {
	any, _ := startListen(t, `echo ready`, "-path", "/feed", "-allow-origin", "*")
	listed, _ := startListen(t, `echo ready`, "-allow-origin", "https://a.example", "-allow-origin", "http://b.example:8080")
	same, _ := startListen(t, `echo ready`)
	everywhere, _ := startProgram(t, new(syncBuffer), "listen", ":0", "--", "echo", "ready")
	everywhere = "ws://127.0.0.1:" + everywhere[strings.LastIndex(everywhere, ":")+1:]
	hostOf := func(url string) string { return strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/") }
	if !strings.HasSuffix(any, "/feed") {
		t.Errorf("the URL is %s", any)
	}
	for _, test := range []struct {
		url, host, origin string
		status            int
	}{
		{any, "", "", 0},
		{any, "", "https://evil.example", 0},
		{strings.TrimSuffix(any, "feed"), "", "", http.StatusNotFound},
		{any + "/more", "", "", http.StatusNotFound},
		{listed, "", "", 0},
		{listed, "", "https://A.example", 0},
		{listed, "", "http://b.example:8080", 0},
		{listed, "", "http://b.example", http.StatusForbidden},
		{listed, "", "http://" + hostOf(listed), http.StatusForbidden},
		{same, "", "", 0},
		{same, "", "http://" + hostOf(same), 0},
		{same, "", "https://evil.example", http.StatusForbidden},
		{same, "", "null", http.StatusForbidden},
		{same, "localhost:1", "http://localhost:1", 0},
		{same, "[::1]:1", "http://[::1]:1", 0},
		{same, "evil.example", "http://evil.example", http.StatusForbidden}, // DNS rebinding
		{same, "evil.example", "", 0},
		{everywhere, "192.0.2.1", "http://192.0.2.1", 0},
		{everywhere, "evil.example", "http://evil.example", http.StatusForbidden},
	} {
		config := &websock.Config{HostHeader: test.host, Header: http.Header{}}
		if test.origin != "" {
			config.Header.Set("Origin", test.origin)
		}
		conn, err := websock.Dial(t.Context(), test.url, config)
		var refused *websock.HandshakeError
		if errors.As(err, &refused); (err == nil) != (test.status == 0) || err != nil && refused.Status != test.status {
			t.Errorf("%+v: %v", test, err)
		}
		if err == nil {
			recvText(t, conn)
			conn.Close()
		}
	}
}

func TestListenSpeaksTLSAndAgreesToASubprotocol(t *testing.T) {
	cert, key := writeCertificate(t)
	url, _ := startListen(t, `echo "$WEBSOCKET_PROTOCOL $HTTPS"`, "-tls-cert", cert, "-tls-key", key, "-subprotocol", "v1", "-compress")
	got := command(t.Context(), "", "connect", "-wait", "1m", "-ca", cert, "-compress", "-subprotocol", "v0", "-subprotocol", "v1", url)
	if got.code != 0 || got.out != "v1 on\n" {
		t.Errorf("%+v", got)
	}
	url, interrupt := startListen(t, `echo ready`, "-tls")
	if got := command(t.Context(), "", "connect", "-wait", "1m", "-insecure", url); got.code != 0 || got.out != "ready\n" {
		t.Errorf("%+v", got)
	}
	_, file, _ := strings.Cut(strings.TrimSpace(interrupt().err), "-ca: ")
	if _, err := os.Stat(file); file == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left %q behind: %v", file, err)
	}
}

func TestACommandIsToldOfTheRequest(t *testing.T) {
	t.Setenv("HTTP_ORIGIN", "that of a request to ourselves")
	t.Setenv("HTTP_PROXY", "http://ours.example")
	url, _ := startListen(t, `env; echo; cat >/dev/null`)
	config := &websock.Config{Header: http.Header{
		"Proxy": {"http://evil.example"}, "Authorization": {"secret"}, "Cookie": {"a=b"}, "X-Forwarded-For": {"10.0.0.1", "10.0.0.2"},
		"Bash-Func": {"() { :; }"},
	}}
	conn := dialListen(t, url+"a%20b%00c?d=e%26f&g", config)
	got := map[string]string{}
	for line := recvText(t, conn); line != ""; line = recvText(t, conn) {
		name, value, _ := strings.Cut(line, "=")
		got[name] = value
	}
	for name, want := range map[string]string{
		"PATH_INFO": "/a bc", "QUERY_STRING": "d=e%26f&g", "REQUEST_URI": "/a%20b%00c?d=e%26f&g", "REQUEST_METHOD": "GET",
		"REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "127.0.0.1", "HTTP_COOKIE": "a=b", "HTTP_X_FORWARDED_FOR": "10.0.0.1, 10.0.0.2",
		"HTTP_PROXY": "http://ours.example", "HTTP_HOST": strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/"),
		"GATEWAY_INTERFACE": "CGI/1.1", "PATH": os.Getenv("PATH"),
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"HTTP_AUTHORIZATION", "HTTP_ORIGIN", "HTTP_BASH_FUNC", "HTTPS", "WEBSOCKET_PROTOCOL"} {
		if value, ok := got[name]; ok {
			t.Errorf("%s is %q", name, value)
		}
	}
}

func TestACommandThatCanNotBeStarted(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/nowhere/at/all\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	url, interrupt := startProgram(t, new(syncBuffer), "listen", "0", program)
	wantClose(t, dialListen(t, url, nil), websock.CloseInternalError, "can't be started")
	if end := interrupt(); end.code != 0 || !strings.Contains(end.err, "no such file") {
		t.Errorf("%+v", end)
	}
	if got := command(t.Context(), "", "listen", "0", "--", "/nowhere/at/all"); got.code != 1 || !strings.Contains(got.err, "/nowhere/at/all") {
		t.Errorf("%+v", got)
	}
}

// Many come and go at the same time, and nothing is left of them.
func TestListenServesManyShortConnections(t *testing.T) {
	url, interrupt := startListen(t, `read -r line; echo "$line"`, "-max", "1000", "-grace", "50ms")
	const clients, each = 8, 25
	results := make(chan error, clients)
	for range clients {
		go func() {
			for i := range each {
				conn, err := websock.Dial(t.Context(), url, nil)
				if err != nil {
					results <- err
					return
				}
				if i%3 > 0 {
					conn.SendText([]byte("hello"))
					if _, _, err := conn.RecvMessage(nil); err != nil {
						results <- err
					}
				}
				if i%2 > 0 {
					conn.Abort(nil)
				}
				conn.Close()
			}
			results <- nil
		}()
	}
	for range clients {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if end := interrupt(); end.code != 0 {
		t.Errorf("%+v", end)
	}
}
