package interop

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed004e8d11/websock"
)

// streamClients are partners for our server over HTTP/2.
var streamClients = []partner{
	{name: "gobwas with golang.org/x/net", version: module("golang.org/x/net"), opens: streamsFrom(netHTTP2Client), notes: map[string]string{
		"compressed": "not offered",
	}},
	{name: "npm ws with Node.js", version: printed("node", "--version"), opens: streamsFrom(nodeHTTP2Client)},
	{name: "undici", version: npmPackage("undici"), opens: streamsFrom(undiciClient), notes: map[string]string{
		"h2c": "speaks HTTP/2 only with TLS",
	}},
	{name: "Chromium", version: printed("chromium", "--version"), opens: streamsFrom(chromiumPage), notes: map[string]string{
		"h2c": "speaks HTTP/2 only with TLS",
	}},
	{name: "Firefox", version: printed("firefox-esr", "--version"), opens: func(t *testing.T, c *certificate) opener {
		return streamsFrom(firefoxPage)(t, signed(t, folder(t)))
	}, notes: map[string]string{
		"h2c": "speaks HTTP/2 only with TLS",
	}},
}

// streamVariants says how many WebSockets the features of a variant need.
var streamVariants = map[variant]int{
	stream:           1 + 50 + 2,
	compressedStream: 1,
	cleartextStream:  50,
}

// A streamClient opens WebSockets over one connection, and echoes until they are closed. page is
// of the same server.
type streamClient func(t *testing.T, c *certificate, page string, urls []string)

// streamsFrom starts a client for each variant, which opens all WebSockets at once.
func streamsFrom(start streamClient) func(*testing.T, *certificate) opener {
	return func(t *testing.T, c *certificate) opener {
		r, mux := acceptorOf(t, []variant{stream, compressedStream, cleartextStream})
		origin := "https://" + serveHTTP2(t, c, true, mux)
		r.serve(stream, origin)
		r.serve(compressedStream, origin)
		r.serve(cleartextStream, "http://"+serveHTTP2(t, c, false, mux))
		return r.awaiting(c, start)
	}
}

// awaiting returns an opener that starts a client for each variant.
func (r *acceptor) awaiting(c *certificate, start streamClient) opener {
	started := map[variant]*sync.Once{stream: {}, compressedStream: {}, cleartextStream: {}}
	return func(t *testing.T, v variant) (*websock.Conn, error) {
		started[v].Do(func() {
			start(t, c, r.pages[v], slices.Repeat([]string{r.urls[v]}, streamVariants[v]))
		})
		return r.await(v)
	}
}

func nodeHTTP2Client(t *testing.T, c *certificate, _ string, urls []string) {
	needNode(t)
	run(t, exec.Command("node", append([]string{"clients/http2.js", c.files["cert"]}, urls...)...))
}

func undiciClient(t *testing.T, c *certificate, _ string, urls []string) {
	needNode(t)
	run(t, exec.Command("node", append([]string{"clients/undici.js", c.files["cert"]}, urls...)...))
}

// npmPackage returns the version of a package that package.json names.
func npmPackage(name string) func(*testing.T) string {
	return func(t *testing.T) string {
		text, err := os.ReadFile("package.json")
		if err != nil {
			t.Fatal(err)
		}
		var installed struct{ Dependencies map[string]string }
		if err := json.Unmarshal(text, &installed); err != nil {
			t.Fatal(err)
		}
		return installed.Dependencies[name]
	}
}

func chromiumPage(t *testing.T, _ *certificate, page string, urls []string) {
	runChromium(t, page+strings.Join(urls, ","))
}
