package handshake

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/internal/deadline"
)

// acceptedBody returns the connection that Accept makes of a request and an http.ResponseWriter of HTTP/2.
func acceptedBody(t *testing.T, w http.ResponseWriter, r *http.Request) net.Conn {
	t.Helper()
	conn, _, err := Accept(w, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestABodyConnReadsTheRequestAndWritesTheResponse(t *testing.T) {
	r := connectRequest()
	r.Body = io.NopCloser(strings.NewReader("from the client"))
	w := httptest.NewRecorder()
	conn := acceptedBody(t, wrappedWriter{w}, r)
	if w.Code != 200 || !w.Flushed {
		t.Errorf("the response with status %d was sent: %v", w.Code, w.Flushed)
	}
	if got, err := io.ReadAll(conn); string(got) != "from the client" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if n, err := conn.Write([]byte("to the client")); n != 13 || err != nil || w.Body.String() != "to the client" {
		t.Errorf("wrote %d, %v: %q", n, err, w.Body)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) || w.Body.Len() != 13 {
		t.Errorf("Write after Close: %v", err)
	}
	if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func TestABodyConnHasTheAddressesOfTheRequest(t *testing.T) {
	local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:443"))
	for _, test := range []struct {
		remote     string
		local      net.Addr
		wantRemote string
		wantLocal  string
	}{
		{"192.0.2.1:1234", local, "tcp 192.0.2.1:1234", "tcp 127.0.0.1:443"},
		{"[2001:db8::1%eth0]:1", nil, "tcp [2001:db8::1%eth0]:1", " "},
		{"@", nil, " @", " "},
	} {
		r := connectRequest()
		r.RemoteAddr = test.remote
		if test.local != nil {
			r = r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, test.local))
		}
		conn := acceptedBody(t, httptest.NewRecorder(), r)
		text := func(a net.Addr) string { return a.Network() + " " + a.String() }
		if got := text(conn.RemoteAddr()); got != test.wantRemote {
			t.Errorf("remote address %q, want %q", got, test.wantRemote)
		}
		if got := text(conn.LocalAddr()); got != test.wantLocal {
			t.Errorf("local address %q, want %q", got, test.wantLocal)
		}
	}
}

func TestABodyConnTellsTheStateOfTLS(t *testing.T) {
	r := connectRequest()
	conn := acceptedBody(t, httptest.NewRecorder(), r)
	if _, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		t.Error("a connection without TLS has a state of it")
	}
	r.TLS = &testState
	secured, ok := acceptedBody(t, httptest.NewRecorder(), r).(interface{ ConnectionState() tls.ConnectionState })
	if !ok || secured.ConnectionState().ServerName != testState.ServerName {
		t.Error("the state of TLS is lost")
	}
}

func TestClosingABodyConnEndsAReadAndAWriteInProgress(t *testing.T) {
	body, _ := io.Pipe()
	r := connectRequest()
	r.Body = body
	w := newStalledWriter()
	conn := acceptedBody(t, w, r)
	read, wrote := make(chan error), make(chan error)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	go func() {
		_, err := conn.Write([]byte("x"))
		wrote <- err
	}()
	<-w.writing
	conn.Close()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if err := <-wrote; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write: %v", err)
	}
}

func TestCloseWriteOfABodyConnEndsReadingToo(t *testing.T) {
	body, _ := io.Pipe()
	r := connectRequest()
	r.Body = body
	conn := acceptedBody(t, httptest.NewRecorder(), r)
	half := conn.(interface{ CloseWrite() error })
	for range 2 {
		if err := half.CloseWrite(); err != nil {
			t.Error(err)
		}
	}
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read: %v", err)
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestABodyConnWritesNothingAfterItsHandler(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := httptest.NewRecorder()
	conn := acceptedBody(t, w, connectRequest().WithContext(ctx))
	cancel()
	if _, err := conn.Write([]byte("x")); err == nil || w.Body.Len() != 0 {
		t.Errorf("%v, wrote %q", err, w.Body)
	}
}

func TestAcceptEndsTheTimeoutsOfTheServer(t *testing.T) {
	w := &timedWriter{ResponseRecorder: httptest.NewRecorder(), read: time.Unix(5, 0), write: time.Unix(5, 0)}
	acceptedBody(t, w, connectRequest())
	if !w.read.IsZero() || !w.write.IsZero() {
		t.Errorf("deadlines %v and %v are left", w.read, w.write)
	}
	if w.flushedBy.IsZero() || w.flushedBy == time.Unix(5, 0) {
		t.Errorf("the response may take until %v", w.flushedBy)
	}
}

func TestAcceptNeedsAWriterThatCanBeFlushed(t *testing.T) {
	w := httptest.NewRecorder()
	_, _, err := Accept(struct{ http.ResponseWriter }{w}, connectRequest(), nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 500 || w.Code != 500 || !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("%v, answered %d", err, w.Code)
	}
	if !strings.Contains(err.Error(), "struct { http.ResponseWriter } hides") || strings.Contains(w.Body.String(), "hides") {
		t.Errorf("the error %q doesn't name the writer, or the client sees it: %q", err, w.Body)
	}
}

func TestAcceptReportsAStreamThatIsLost(t *testing.T) {
	_, _, err := Accept(brokenWriter{httptest.NewRecorder()}, connectRequest(), nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// servedByNetHTTP runs a test in a process in which net/http's server supports extended CONNECT. It
// returns false in the one that does not.
func servedByNetHTTP(t *testing.T) bool {
	const setting = "http2xconnect=1"
	if strings.Contains(os.Getenv("GODEBUG"), setting) {
		return true
	}
	run := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	run.Env = append(os.Environ(), "GODEBUG="+setting)
	if output, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	return false
}

// serveH2 runs a handler in net/http's server, and returns a client of it.
func serveH2(t *testing.T, handler http.HandlerFunc) *h2Client {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return dialH2(t, conn)
}

func TestAcceptServesWebSocketsOfNetHTTPOverHTTP2(t *testing.T) {
	if !servedByNetHTTP(t) {
		return
	}
	timedOut := make(chan struct{})
	client := serveH2(t, func(w http.ResponseWriter, r *http.Request) {
		conn, result, err := Accept(w, r, &ServerOptions{Subprotocols: []string{"v1"}})
		if err != nil || result.Subprotocol != "v1" || r.URL.Path != "/chat" {
			t.Errorf("%+v, %v", result, err)
			return
		}
		conn = deadline.Wrap(conn)
		defer conn.Close()
		conn.SetReadDeadline(time.Unix(1, 0))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) { // nothing has been sent
			t.Error(err)
		}
		close(timedOut)
		conn.SetReadDeadline(time.Time{})
		if local, ok := conn.LocalAddr().(*net.TCPAddr); !ok || !local.IP.IsLoopback() {
			t.Errorf("local address %v", conn.LocalAddr())
		}
		if remote, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !remote.IP.IsLoopback() {
			t.Errorf("remote address %v", conn.RemoteAddr())
		}
		message := make([]byte, 5)
		if _, err := io.ReadFull(conn, message); err != nil {
			t.Error(err)
		}
		conn.Write(message)
	})
	client.open(connectFields("/chat", "sec-websocket-protocol", "v1"))
	head, ok := client.next().(*http2.MetaHeadersFrame)
	if !ok || head.PseudoValue("status") != "200" || head.StreamEnded() {
		t.Fatalf("answered %v", head)
	}
	<-timedOut
	client.send("Hello")
	if data, ok := client.next().(*http2.DataFrame); !ok || string(data.Data()) != "Hello" || data.StreamEnded() {
		t.Errorf("echoed %v", data)
	}
	if data, ok := client.next().(*http2.DataFrame); !ok || len(data.Data()) > 0 || !data.StreamEnded() {
		t.Errorf("the stream didn't end: %v", data)
	}
	if reset, ok := client.next().(*http2.RSTStreamFrame); !ok || reset.ErrCode != http2.ErrCodeNo {
		t.Errorf("our direction was not ended: %v", reset)
	}
}

func TestClosingEndsAWriteThatWaitsForAWindow(t *testing.T) {
	if !servedByNetHTTP(t) {
		return
	}
	client := serveH2(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		wrote := make(chan error)
		go func() {
			_, err := conn.Write(make([]byte, 1<<20))
			wrote <- err
		}()
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		conn.Close()
		if err := <-wrote; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	client.open(connectFields("/"))
	client.next()
	for received := 0; received < 65535; {
		data, ok := client.next().(*http2.DataFrame)
		if !ok {
			t.Fatal("something else than DATA came")
		}
		received += len(data.Data())
	}
	client.send("x")
	if _, ok := client.next().(*http2.RSTStreamFrame); !ok {
		t.Error("the stream was not reset")
	}
}

func TestADeclinedStreamHasAnOrdinaryResponse(t *testing.T) {
	if !servedByNetHTTP(t) {
		return
	}
	client := serveH2(t, func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := Accept(w, r, nil); err == nil {
			t.Error("accepted")
		}
	})
	client.open(connectFields("/", "origin", "https://evil.example"))
	head, ok := client.next().(*http2.MetaHeadersFrame)
	if !ok || head.PseudoValue("status") != "403" {
		t.Fatalf("answered %v", head)
	}
	if data, ok := client.next().(*http2.DataFrame); !ok || string(data.Data()) != "pages of this origin may not connect\n" {
		t.Errorf("body %v", data)
	}
}
