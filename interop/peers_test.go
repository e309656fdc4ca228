package interop

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"

	"github.com/seed004e8d11/websock/internal/loopback"
)

// A peer is a server of another project.
type peer struct {
	name        string
	start       func(t *testing.T) (url string)
	queries     []string // to be added to the URL, one for each connection; nil: any number of connections
	subprotocol string   // that it needs to echo
	mirror      bool     // it echoes everything as text, and long messages or fragments as several messages
	chat        bool     // it speaks the subprotocol "chat"
}

var peers = []peer{
	{name: "gobwas", start: inProcess(gobwasEcho), chat: true},
	{name: "gorilla", start: inProcess(gorillaEcho), chat: true},
	{name: "coder", start: inProcess(coderEcho), chat: true},
	{name: "npm ws", start: nodeEcho, chat: true},
	{name: "python websockets", start: pythonEcho, chat: true},
	{
		// Its mirror sends every message to all connections with the same mirror
		// name, including the sender. It supports three names.
		name:        "libwebsockets",
		start:       libwebsockets,
		queries:     []string{"?mirror=a", "?mirror=b", "?mirror=c"},
		subprotocol: "lws-mirror-protocol",
		mirror:      true,
	},
}

// eachPeer runs a test against every server.
func eachPeer(t *testing.T, f func(t *testing.T, p peer, url string)) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) { f(t, p, p.start(t)) })
	}
}

// missing skips a test, or fails it where all programs must be installed.
func missing(t *testing.T, what, install string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %s", what, install)
	}
	t.Skipf("%s is missing: %s", what, install)
}

func inProcess(h http.HandlerFunc) func(t *testing.T) string {
	return func(t *testing.T) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return "ws" + strings.TrimPrefix(s.URL, "http") + "/"
	}
}

func gobwasEcho(w http.ResponseWriter, r *http.Request) {
	upgrader := ws.HTTPUpgrader{Protocol: func(name string) bool { return name == "chat" }}
	conn, _, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		return
	}
	defer conn.Close()
	gobwasEchoes(conn)
}

func gobwasEchoes(conn io.ReadWriter) {
	for {
		msg, op, err := wsutil.ReadClientData(conn)
		if err != nil {
			return
		}
		if err := wsutil.WriteServerMessage(conn, op, msg); err != nil {
			return
		}
	}
}

func gorillaEcho(w http.ResponseWriter, r *http.Request) {
	upgrader := gorilla.Upgrader{Subprotocols: []string{"chat"}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		op, msg, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if err := conn.WriteMessage(op, msg); err != nil {
			return
		}
	}
}

func coderEcho(w http.ResponseWriter, r *http.Request) {
	conn, err := coder.Accept(w, r, &coder.AcceptOptions{Subprotocols: []string{"chat"}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(16 << 20)
	for {
		op, msg, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), op, msg); err != nil {
			return
		}
	}
}

func nodeEcho(t *testing.T) string {
	needNode(t)
	return process(t, func(port string) *exec.Cmd { return exec.Command("node", "servers/echo.js", port) })
}

func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		missing(t, "node", "install Node.js")
	}
	if _, err := os.Stat("node_modules/ws"); err != nil {
		missing(t, "the npm package ws", "run `npm install` in the folder interop")
	}
}

const python = "/usr/bin/python3" // Debian's

func pythonEcho(t *testing.T) string {
	needPython(t)
	return process(t, func(port string) *exec.Cmd { return exec.Command(python, "servers/echo.py", port) })
}

func needPython(t *testing.T) {
	t.Helper()
	if err := exec.Command(python, "-c", "import websockets").Run(); err != nil {
		missing(t, "Debian's python3-websockets", "run `apt-get install python3-websockets`")
	}
}

func libwebsockets(t *testing.T) string {
	const server = "libwebsockets-test-server"
	if _, err := exec.LookPath(server); err != nil {
		missing(t, server, "run `apt-get install libwebsockets-test-server`")
	}
	return process(t, func(port string) *exec.Cmd { return exec.Command(server, "--port="+port, "-d", "1") })
}

// patience is how long a test waits for what another program does. A browser takes most of a minute to start
// beside much else.
const patience = 3 * time.Minute

// process starts a server on a free port of loopback and waits until it listens. The server is stopped
// when the test ends.
func process(t *testing.T, command func(port string) *exec.Cmd) string {
	t.Helper()
	port := freePort(t)
	cmd := command(port)
	run(t, cmd)
	addr := net.JoinHostPort("127.0.0.1", port)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return fmt.Sprintf("ws://%s/", addr)
		}
	}
	t.Fatalf("%v doesn't listen on %s", cmd.Args, addr)
	return ""
}

// freePort returns a port of 127.0.0.1 at which nobody listens, each time another one.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := loopback.Port()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// run starts a program, which is stopped when the test ends.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = patience // for processes that it has started and that keep the output open
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("output of %s:\n%.4000s", cmd.Path, output.String())
		}
	})
}
