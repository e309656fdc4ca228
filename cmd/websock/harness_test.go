package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
	"github.com/seed004e8d11/websock/internal/leak"
	"go.uber.org/goleak"
)

// TestMain makes the test binary the program itself when its first argument is a command and
// not a flag: fanout starts child processes of it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		main()
	}
	if os.Getenv("GORACE") == "" { // with the race detector, a process sleeps for a second before it ends
		os.Setenv("GORACE", "atexit_sleep_ms=10")
	}
	leak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"))
}

// An outcome is the exit code and output of a run of the program.
type outcome struct {
	code     int
	out, err string
}

// command runs the program in this process.
func command(ctx context.Context, stdin string, args ...string) outcome {
	var out, err syncBuffer
	code := run(ctx, args, strings.NewReader(stdin), &out, &err)
	return outcome{code, out.String(), err.String()}
}

// commandUntil is command with a standard input that ends when the program has printed a text.
func commandUntil(t *testing.T, text, stdin string, args ...string) outcome {
	t.Helper()
	var out, err syncBuffer
	var over atomic.Bool
	printed := waitingReader(func() {
		waitUntil(t, fmt.Sprintf("%q is printed", text), func() bool {
			return strings.Contains(out.String(), text) || strings.Contains(err.String(), text) || over.Load()
		})
	})
	code := run(t.Context(), args, io.MultiReader(strings.NewReader(stdin), printed), &out, &err)
	over.Store(true)
	return outcome{code, out.String(), err.String()}
}

// A waitingReader is empty. Its end comes when the function returns.
type waitingReader func()

func (wait waitingReader) Read([]byte) (int, error) {
	wait()
	return 0, io.EOF
}

// interruptedAfter returns a context that ends after d, as with a signal.
func interruptedAfter(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(d, cancel)
	return ctx
}

// waitUntil fails the test if the condition doesn't come true within a minute.
func waitUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("it takes too long until %s", what)
			runtime.Goexit()
		}
	}
}

// A syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// startServer runs "websock serve" on a free port until the test ends, and returns its URL and
// a function that interrupts it and returns its outcome.
func startServer(t testing.TB, args ...string) (url string, interrupt func() outcome) {
	t.Helper()
	return startServerWithStderr(t, new(syncBuffer), args...)
}

// startServerWithStderr is startServer with a given standard error.
func startServerWithStderr(t testing.TB, stderr *syncBuffer, args ...string) (url string, interrupt func() outcome) {
	t.Helper()
	return startProgram(t, stderr, append([]string{"serve", "-addr", "127.0.0.1:0"}, args...)...)
}

// startProgram runs a command that prints its URL first, until the test ends. It returns the URL and a
// function that interrupts it and returns its outcome, with what it printed after the URL.
func startProgram(t testing.TB, stderr *syncBuffer, args ...string) (url string, interrupt func() outcome) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, out := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, strings.NewReader(""), out, stderr)
		out.Close()
	}()
	lines := bufio.NewReader(stdout)
	url, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("no URL: %v %s", err, stderr.String())
	}
	var rest syncBuffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(&rest, lines)
	}()
	interrupt = sync.OnceValue(func() outcome {
		cancel()
		<-ended
		return outcome{<-code, rest.String(), stderr.String()}
	})
	t.Cleanup(func() { interrupt() })
	return strings.TrimSpace(url), interrupt
}

// withEveryServer runs f for a server of every transport, without and with TLS, over HTTP/1.1 and
// over HTTP/2, for which dial has a Mux. start starts the server.
func withEveryServer(t *testing.T, f func(t *testing.T, transport string, start func(args ...string) (url string), dial websock.Config)) {
	cert, key := writeCertificate(t)
	secure := []string{"-tls-cert", cert, "-tls-key", key}
	for transport := range transports {
		for _, test := range []struct {
			scheme string
			h2     bool
			flags  []string
		}{{"ws", false, nil}, {"wss", false, secure}, {"ws", true, []string{"-h2c"}}, {"wss", true, secure}} {
			t.Run(fmt.Sprintf("%s %s HTTP/2 %v", transport, test.scheme, test.h2), func(t *testing.T) {
				d := dialFlags{ca: cert, h2: test.h2}
				config, err := d.config()
				if err != nil {
					t.Fatal(err)
				}
				f(t, transport, func(args ...string) string {
					url, _ := startServer(t, slices.Concat([]string{"-transport", transport}, args, test.flags)...)
					if !strings.HasPrefix(url, test.scheme+"://") {
						t.Errorf("the URL is %s", url)
					}
					if test.h2 {
						t.Cleanup(config.Mux.Close)
					}
					return url
				}, config)
			})
		}
	}
}

// writeCertificate writes a certificate for 127.0.0.1 and its key to files.
func writeCertificate(t testing.TB) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", certDER), write("key.pem", "PRIVATE KEY", keyDER)
}

// dialWithSmallBuffer dials a connection with a small receive buffer.
func dialWithSmallBuffer(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		err = conn.(*net.TCPConn).SetReadBuffer(256 << 10)
	}
	return conn, err
}

// startScriptedServer calls f with every connection that it accepts.
func startScriptedServer(t *testing.T, f func(*websock.Conn)) string {
	return startAcceptingServer(t, func(_ *http.Request, conn *websock.Conn) { f(conn) })
}

// startAcceptingServer calls f with every connection that it accepts, and its opening handshake.
func startAcceptingServer(t *testing.T, f func(*http.Request, *websock.Conn)) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		f(r, conn)
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// echoChanged echoes messages after change, which may alter the message and returns the opcode,
// until the connection ends.
func echoChanged(conn *websock.Conn, change func(op websock.Opcode, msg []byte) websock.Opcode) {
	for {
		op, msg, err := conn.RecvMessage(nil)
		if err != nil {
			return
		}
		conn.SendFrame(change(op, msg), true, msg)
	}
}

// unusedURL is the URL of a port that nobody listens on.
const unusedURL = "ws://127.0.0.1:1/"

// runFanout runs "websock fanout -json -quiet".
func runFanout(t *testing.T, args ...string) (report.Report, outcome) {
	t.Helper()
	return runFanoutUntil(t, t.Context(), args...)
}

// runFanoutUntil is runFanout that is interrupted when ctx ends. A busy machine may take long for the answers.
func runFanoutUntil(t *testing.T, ctx context.Context, args ...string) (report.Report, outcome) {
	t.Helper()
	got := command(ctx, "", append([]string{"fanout", "-json", "-quiet", "-timeout", "1m"}, args...)...)
	if got.out == "" {
		t.Fatalf("no result: %+v", got)
	}
	return decodeReport(t, got.out), got
}

// An endlessLine is a reader of a line that never ends.
type endlessLine struct{}

func (endlessLine) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// endlessLines is a reader of lines that never end.
type endlessLines struct{}

func (endlessLines) Read(p []byte) (int, error) {
	const line = "line\n"
	for i := range p {
		p[i] = line[i%len(line)]
	}
	return len(p), nil
}
