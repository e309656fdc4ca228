package h3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/h3"
	wstls "github.com/seed004e8d11/websock/transport/tls"
)

// A rawClient speaks HTTP/3 by hand to a server.
type rawClient struct {
	*quic.Conn
	t *testing.T
}

// newRawClient connects to a server.
func newRawClient(t *testing.T, s *server) *rawClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, s.addr.String(), wstls.ClientConfig(s.addr.Addr().String(), s.config, http3.NextProtoH3), endlessHandshake)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	c := &rawClient{conn, t}
	control, err := conn.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	control.Write(append(varints(0), frame(0x4, nil)...))
	return c
}

// stream opens a stream and writes to it.
func (c *rawClient) stream(parts ...[]byte) *quic.Stream {
	c.t.Helper()
	s, err := c.OpenStreamSync(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(patience))
	s.Write(bytes.Join(parts, nil))
	return s
}

// head returns a HEADERS frame with names and values.
func head(fields ...string) []byte {
	var block bytes.Buffer
	e := qpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return frame(0x1, block.Bytes())
}

// with returns the head of a request for a WebSocket, with other fields. An empty value leaves one out.
func with(fields ...string) []byte {
	all := []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "example.com", ":path", "/"}
	for i := 0; i < len(fields); i += 2 {
		if at := slices.Index(all, fields[i]); at >= 0 {
			all = slices.Delete(all, at, at+2)
		}
		if fields[i+1] != "" {
			all = append(all, fields[i], fields[i+1])
		}
	}
	return head(all...)
}

// proper is the head of a request for a WebSocket.
var proper = with("sec-websocket-version", "13")

// masked is a DATA frame with the message "hello", masked with zeros.
var masked = frame(0x0, append([]byte{0x81, 0x85, 0, 0, 0, 0}, "hello"...))

// maskedClose is one with a close frame.
var maskedClose = frame(0x0, []byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8})

// What a client does wrong ends its WebSocket. If it has violated HTTP/3 itself, its connection ends, too (RFC
// 9114 section 8); those of other clients don't.
func TestHostileClients(t *testing.T) {
	ends := make(chan error, 1)
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := websock.Accept(w, r, &websock.AcceptOptions{Handler: websock.Messages(
			func(c *websock.Conn, op websock.Opcode, p []byte) { c.SendFrame(op, true, p) },
			func(_ *websock.Conn, err error) { ends <- err },
		)})
		if err != nil {
			ends <- err
		}
	})
	other := s.mustDial(t, websock.Config{})
	wantEnd := func(name, want string) {
		t.Helper()
		select {
		case err := <-ends:
			if got := describe(err); got != want && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %s (%v)", name, got, err)
			}
		case <-time.After(patience):
			t.Fatalf("%s: the server's WebSocket is still open", name)
		}
	}
	finish := func(s *quic.Stream) { s.Close() }
	for _, test := range []struct {
		name string
		send []byte
		then func(s *quic.Stream)
		want string        // what describe says of the server's error, or a part of that; "": the request is not proper
		code http3.ErrCode // of the end of the connection; 0: it goes on
	}{
		{"no :protocol", head(":method", "CONNECT", ":authority", "example.com", "sec-websocket-version", "13"), nil, "HTTP status 501", 0},
		{"an empty :protocol", with(":protocol", "", "sec-websocket-version", "13"), nil, "", 0},
		{"no :path", with(":path", "", "sec-websocket-version", "13"), nil, "", 0},
		{"headers of HTTP/1.1", with("connection", "upgrade", "sec-websocket-version", "13"), nil, "", 0},
		{"another version", with("sec-websocket-version", "8"), nil, "HTTP status 400", 0},
		{"a request that is reset", proper[:20], func(s *quic.Stream) { s.CancelWrite(0x10c) }, "", 0},
		{"a request that ends", proper[:20], finish, "", 0},

		{"a trailer", slices.Concat(proper, masked, head("x", "y")), nil, "`CloseError` 1006, `SessionError` H3_FRAME_UNEXPECTED", http3.ErrCodeFrameUnexpected},
		{"SETTINGS", slices.Concat(proper, masked, frame(0x4, nil)), nil, "`CloseError` 1006, `SessionError` H3_FRAME_UNEXPECTED", http3.ErrCodeFrameUnexpected},
		{"a frame of HTTP/2", slices.Concat(proper, masked, frame(0x2, nil)), nil, "`CloseError` 1006, `SessionError` H3_FRAME_UNEXPECTED", http3.ErrCodeFrameUnexpected},
		{"the end in a DATA frame", slices.Concat(proper, masked[:5]), finish, "`CloseError` 1006, `SessionError` H3_FRAME_ERROR", http3.ErrCodeFrameError},
		{"the end in the header of one", slices.Concat(proper, masked, []byte{0}), finish, "`CloseError` 1006, `SessionError` H3_FRAME_ERROR", http3.ErrCodeFrameError},
		{"the end between messages", slices.Concat(proper, masked), finish, "`CloseError` 1006, `io.ErrUnexpectedEOF`", 0},
		{"a reset", slices.Concat(proper, masked), func(s *quic.Stream) {
			io.ReadFull(s, make([]byte, len(accepted)))
			s.CancelWrite(0x10c)
		}, "`CloseError` 1006, `StreamError` H3_REQUEST_CANCELLED of the server", 0},
		{"an unmasked message", slices.Concat(proper, hello), nil, "protocol error", 0},
		{"20,000 frames of unknown types", slices.Concat(proper, bytes.Repeat(frame(0x21, []byte("greased")), 20_000), maskedClose), nil, "`CloseError` 1000", 0},
		{"20,000 empty DATA frames", slices.Concat(proper, bytes.Repeat(frame(0x0, nil), 20_000), maskedClose), nil, "`CloseError` 1000", 0},
		{"a frame of an unknown type, without end", slices.Concat(proper, varints(0x21, 1<<60), make([]byte, 1<<20)), finish, "`CloseError` 1006, `SessionError` H3_FRAME_ERROR", http3.ErrCodeFrameError},
	} {
		client := newRawClient(t, s)
		st := client.stream(test.send)
		if test.then != nil {
			test.then(st)
		}
		if test.want == "" {
			var reset *quic.StreamError
			if _, err := io.ReadAll(st); !errors.As(err, &reset) || !reset.Remote {
				t.Errorf("%s: the client reads %v", test.name, err)
			}
		} else {
			wantEnd(test.name, test.want)
		}
		finish(st)
		if test.code == 0 {
			finish(client.stream(proper, maskedClose))
			wantEnd("after "+test.name, "`CloseError` 1000")
			continue
		}
		<-client.Context().Done()
		var ended *quic.ApplicationError
		if err := context.Cause(client.Context()); !errors.As(err, &ended) || !ended.Remote || ended.ErrorCode != quic.ApplicationErrorCode(test.code) {
			t.Errorf("%s: the client's connection: %v", test.name, err)
		}
	}
	wantEcho(t, other, "hello")
	other.Abort(nil)
}

// A client that opens streams and does nothing has as many as the server allows.
func TestStreamsThatDoNothing(t *testing.T) {
	s := newServer(t, echo)
	client := newRawClient(t, s)
	n := 0
	for ; n < 1000; n++ {
		st, err := client.OpenStream()
		if err != nil {
			break
		}
		st.Write(proper[:1])
	}
	if n != h3.DefaultMaxStreams {
		t.Errorf("%d streams", n)
	}
	c := s.mustDial(t, websock.Config{})
	wantEcho(t, c, "hello")
	c.Abort(nil)
}

// A handler that reads the body would leave Accept the middle of a frame.
func TestAcceptAfterTheBodyWasRead(t *testing.T) {
	returned := make(chan error, 1)
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadFull(r.Body, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		_, err := websock.Accept(w, r, nil)
		returned <- err
	})
	newRawClient(t, s).stream(proper, masked)
	var failed *websock.HandshakeError
	if err := <-returned; !errors.As(err, &failed) || !strings.Contains(err.Error(), "body was read") {
		t.Error(err)
	}
}
