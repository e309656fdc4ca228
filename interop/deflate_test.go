package interop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/seed004e8d11/websock"
)

// A setting is the compression that both sides request, in both directions.
type setting struct {
	takeover bool
	bits     int
}

func (s setting) String() string { return fmt.Sprintf("takeover %v, %d bits", s.takeover, s.bits) }

func (s setting) compression() websock.Compression {
	return websock.Compression{
		Level: 1, SendTakeover: s.takeover, RecvTakeover: s.takeover,
		SendWindowBits: s.bits, RecvWindowBits: s.bits,
	}
}

// settings returns all settings.
func settings() (all []setting) {
	for bits := 8; bits <= 15; bits++ {
		all = append(all, setting{true, bits}, setting{false, bits})
	}
	return all
}

// A compressing peer is a program of another project that echoes, in either role.
type compressing struct {
	name   string
	server func(t *testing.T, s setting) (url string)
	client func(t *testing.T, url string, s setting) // returns at once

	// negotiated returns the result of requesting a setting, in our role.
	negotiated func(role websock.Role, requested websock.Compression) websock.Compression

	least int // the least window bits that it supports
}

var compressingPeers = []compressing{
	{"gorilla", gorillaServer, gorillaClient, withoutTakeover, 8},
	{"coder", coderServer, coderClient, withLargeWindows, 8},
	{"gws", gwsServer, gwsClient, ofAllOffers, 8},
	{"npm ws", nodeServer, nodeClient, asRequested, 8},
	{"python websockets", pythonServer, pythonClient, asRequested, 9}, // with 8, zlib fails
}

// asRequested is for peers that accept everything. For receiving, 8 bits become 9.
func asRequested(_ websock.Role, z websock.Compression) websock.Compression {
	z.RecvWindowBits = max(z.RecvWindowBits, 9)
	return z
}

// withLargeWindows is for peers with windows of 32 KiB only. We ask them to do without takeover if
// we have a smaller one.
func withLargeWindows(_ websock.Role, z websock.Compression) websock.Compression {
	if z.RecvWindowBits < 15 {
		z.RecvTakeover, z.RecvWindowBits = false, 15
	}
	return z
}

// ofAllOffers is for gws. As a server it reads all offers as one, so that parameters of the second
// one apply, too.
func ofAllOffers(role websock.Role, z websock.Compression) websock.Compression {
	if role == websock.Client && z.RecvWindowBits < 15 {
		z.RecvTakeover = false
	}
	return asRequested(role, z)
}

// withoutTakeover is for gorilla.
func withoutTakeover(_ websock.Role, z websock.Compression) websock.Compression {
	z.SendTakeover, z.RecvTakeover, z.RecvWindowBits = false, false, 15
	return z
}

func TestCompressedEcho(t *testing.T) {
	for _, p := range compressingPeers {
		t.Run(p.name, func(t *testing.T) {
			for _, s := range settings() {
				if s.bits < p.least {
					continue
				}
				t.Run("as the client, "+s.String(), func(t *testing.T) {
					c, err := websock.Dial(t.Context(), p.server(t, s), &websock.Config{Compression: s.compression(), Timeout: patience, Limits: unhurried})
					if err != nil {
						t.Fatal(err)
					}
					p.converse(t, c, s)
				})
				t.Run("as the server, "+s.String(), func(t *testing.T) {
					conns := make(chan *websock.Conn, 1)
					url := inProcess(func(w http.ResponseWriter, r *http.Request) {
						c, err := websock.Accept(w, r, &websock.AcceptOptions{Compression: s.compression(), Limits: unhurried})
						if err != nil {
							t.Error(err)
							return
						}
						conns <- c
					})(t)
					p.client(t, url, s)
					select {
					case c := <-conns:
						p.converse(t, c, s)
					case <-time.After(patience):
						t.Fatal("no client connected")
					}
				})
			}
		})
	}
}

// converse sends messages of all sizes, checks their echoes, and closes.
func (p *compressing) converse(t *testing.T, c *websock.Conn, s setting) {
	if got, want := c.Compression(), p.negotiated(c.Role(), s.compression()); got != want {
		t.Errorf("negotiated %+v, want %+v", got, want)
	}
	if err := c.SetRecvDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, uint64(s.bits)))
	for _, sizes := range [][]int{{0, 1, 20, 1000, 5000, 70000, 1 << 20}, {1000, 1, 5000}} {
		for _, size := range sizes {
			for kind, payload := range map[string]func(*rand.Rand, int) []byte{"JSON": records, "text": words} {
				want := payload(r, size)
				sent := sendMeanwhile(c, want)
				_, got, err := c.RecvMessage(nil)
				if err != nil {
					t.Fatalf("%s of %d bytes: %v", kind, size, err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s of %d bytes: the echo has %d bytes, or others", kind, size, len(got))
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	c.RecvTimeout(nil, 0) // updates the counts
	if stats := c.Stats(); stats.AfterDeflate*10 > stats.BeforeDeflate*8 || stats.BeforeInflate*10 > stats.AfterInflate*8 || stats.AfterInflate == 0 {
		t.Errorf("%+v", stats)
	}
	closeCleanly(t, c)
}

// sendMeanwhile sends a text while receiving.
func sendMeanwhile(c *websock.Conn, p []byte) <-chan error {
	sent := make(chan error, 1)
	go func() { sent <- c.SendText(p) }()
	return sent
}

// records returns n bytes of random JSON.
func records(r *rand.Rand, n int) (b []byte) {
	for len(b) < n {
		b = fmt.Appendf(b, `{"id":%d,"price":"%.2f","side":"%s"},`, r.IntN(1e6), r.Float64()*1e4, []string{"buy", "sell"}[r.IntN(2)])
	}
	return b[:n]
}

// words returns about n bytes of text, not all of it ASCII.
func words(r *rand.Rand, n int) []byte {
	all := strings.Fields("the quick brown fox jumps over lazy dogs größer 日本 Ελλάδα 😀 and then some more")
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(all[r.IntN(len(all))])
		b.WriteByte(' ')
	}
	return []byte(strings.ToValidUTF8(b.String()[:n], "?"))
}

func gorillaServer(t *testing.T, _ setting) string {
	upgrader := gorilla.Upgrader{EnableCompression: true}
	return inProcess(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		gorillaEchoes(conn)
	})(t)
}

func gorillaClient(t *testing.T, url string, _ setting) {
	dialer := gorilla.Dialer{EnableCompression: true}
	go func() {
		conn, _, err := dialer.Dial(url, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		gorillaEchoes(conn)
	}()
}

func gorillaEchoes(conn *gorilla.Conn) {
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

func (s setting) coderMode() coder.CompressionMode {
	if s.takeover {
		return coder.CompressionContextTakeover
	}
	return coder.CompressionNoContextTakeover
}

func coderServer(t *testing.T, s setting) string {
	return inProcess(func(w http.ResponseWriter, r *http.Request) {
		conn, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: s.coderMode()})
		if err != nil {
			return
		}
		coderEchoes(conn, r)
	})(t)
}

func coderClient(t *testing.T, url string, s setting) {
	go func() {
		request, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Error(err)
			return
		}
		conn, _, err := coder.Dial(request.Context(), url, &coder.DialOptions{CompressionMode: s.coderMode()})
		if err != nil {
			t.Error(err)
			return
		}
		coderEchoes(conn, request)
	}()
}

func coderEchoes(conn *coder.Conn, r *http.Request) {
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

// A gwsEcho echoes.
type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	conn.WriteMessage(m.Opcode, bytes.Clone(m.Bytes()))
}

func (s setting) gwsDeflate() gws.PermessageDeflate {
	return gws.PermessageDeflate{
		Enabled: true, Threshold: 1, ServerContextTakeover: s.takeover, ClientContextTakeover: s.takeover,
		ServerMaxWindowBits: s.bits, ClientMaxWindowBits: s.bits,
	}
}

func gwsServer(t *testing.T, s setting) string {
	upgrader := gws.NewUpgrader(gwsEcho{}, &gws.ServerOption{PermessageDeflate: s.gwsDeflate()})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r)
		if err != nil {
			return
		}
		conn.ReadLoop()
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/"
}

func gwsClient(t *testing.T, url string, s setting) {
	go func() {
		conn, _, err := gws.NewClient(gwsEcho{}, &gws.ClientOption{Addr: url, PermessageDeflate: s.gwsDeflate()})
		if err != nil {
			t.Error(err)
			return
		}
		conn.ReadLoop()
	}()
}

func nodeServer(t *testing.T, s setting) string {
	needNode(t)
	return process(t, func(port string) *exec.Cmd { return s.command("node", "servers/deflate.js", port) })
}

func nodeClient(t *testing.T, url string, s setting) {
	needNode(t)
	run(t, s.command("node", "clients/deflate.js", url))
}

func pythonServer(t *testing.T, s setting) string {
	needPython(t)
	return process(t, func(port string) *exec.Cmd { return s.command(python, "servers/deflate.py", port) })
}

func pythonClient(t *testing.T, url string, s setting) {
	needPython(t)
	run(t, s.command(python, "clients/deflate.py", url))
}

// command runs a script with a setting as its last arguments.
func (s setting) command(interpreter, script, to string) *exec.Cmd {
	return exec.Command(interpreter, script, to, strconv.FormatBool(s.takeover), strconv.Itoa(s.bits))
}
