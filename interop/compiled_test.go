package interop

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

// A compiledPeer is a program in compiled/bin that echoes as a server and as a client. compiled/README.md
// says what else it does.
type compiledPeer struct {
	name    string
	program string
	version func(t *testing.T) string
}

var (
	tungstenite    = compiledPeer{"tokio-tungstenite", "tokio-tungstenite", pinned(cargoLock, `name = "tokio-tungstenite"\nversion = "([0-9.]+)"`)}
	fastwebsockets = compiledPeer{"fastwebsockets", "fastwebsockets", pinned(cargoLock, `name = "fastwebsockets"\nversion = "([0-9.]+)"`)}
	beast          = compiledPeer{"Boost.Beast", "beast", pinned("/usr/include/boost/version.hpp", `BOOST_LIB_VERSION "([0-9_]+)"`)}
	netty          = compiledPeer{"Netty", "netty", pinned(mavenProject, `<netty.version>([0-9.]+)\.Final<`)}
	jetty          = compiledPeer{"Jetty", "jetty", pinned(mavenProject, `<jetty.version>([0-9.]+)<`)}
)

var compiledPeers = []compiledPeer{tungstenite, fastwebsockets, beast, netty, jetty}

// Where the versions are that these programs are built with.
const (
	cargoLock    = "../bench/others/rust/Cargo.lock"
	mavenProject = "compiled/java/pom.xml"
)

// pinned returns the version that a file names.
func pinned(file, pattern string) func(*testing.T) string {
	return func(t *testing.T) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		version := regexp.MustCompile(pattern).FindSubmatch(text)
		if version == nil {
			t.Fatalf("no version in %s", file)
		}
		return strings.ReplaceAll(string(version[1]), "_", ".")
	}
}

// asServer returns the partner for our client.
func (p compiledPeer) asServer() partner {
	return partner{name: p.name, version: p.version, opens: func(t *testing.T, _ *certificate) opener {
		c := signed(t, folder(t))
		ws := p.serve(t, c)
		return dialing(c, map[variant]string{plain: ws, compressed: ws, secure: "wss" + ws[len("ws"):]})
	}}
}

// serve starts the server, which understands TLS and what has none on one port, and HTTP/2 if it can.
func (p compiledPeer) serve(t *testing.T, c *certificate) (url string) {
	program := p.path(t)
	return process(t, func(port string) *exec.Cmd {
		return exec.Command(program, "server", port, c.files["cert"], c.files["key"])
	})
}

// asClient returns the partner for our server: one process, which opens a connection of each variant.
func (p compiledPeer) asClient() partner {
	return partner{name: p.name, version: p.version, opens: func(t *testing.T, _ *certificate) opener {
		c := signed(t, folder(t))
		r := newAcceptor(t, c)
		p.dial(t, c.files["authority"], r.urls[plain], r.urls[compressed], r.urls[secure])
		return func(_ *testing.T, v variant) (*websock.Conn, error) { return r.await(v) }
	}}
}

// dial starts the client.
func (p compiledPeer) dial(t *testing.T, authority string, urls ...string) {
	run(t, exec.Command(p.path(t), append([]string{"client", authority}, urls...)...))
}

func (p compiledPeer) path(t *testing.T) string {
	t.Helper()
	path := "compiled/bin/" + p.program
	if _, err := os.Stat(path); err != nil {
		missing(t, p.name, "run `make interop` in place of `go test`, which says what its build needs")
	}
	return path
}

func jettyHTTP2(t *testing.T, _ string, c *certificate, _ string, _ bool) string {
	return strings.TrimSuffix(strings.TrimPrefix(jetty.serve(t, c), "ws://"), "/")
}
