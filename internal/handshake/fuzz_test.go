package handshake

import (
	"bufio"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/bounds"
)

// fuzzedMemory is how many bytes a handshake of at most 4 KiB may allocate.
const fuzzedMemory = 1 << 20

// FuzzClient checks that the client accepts or rejects any response, and loses no byte.
func FuzzClient(f *testing.F) {
	f.Add(agreed+"\x81\x05Hello", uint(20))
	f.Add(strings.ReplaceAll(agreed, "\r\n", "\n"), uint(0))
	f.Add("HTTP/1.1 100 Continue\r\n\r\n"+agreed, uint(3))
	f.Add("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nno key\r\n0\r\n\r\n", uint(70))
	f.Add(strings.Replace(agreed, "Upgrade:", "X: y\r\n z\r\nUpgrade:", 1), uint(1))
	f.Fuzz(func(t *testing.T, response string, cut uint) {
		script := &scripted{response: response, cut: int(cut % (1 << 20))}
		var result *Result
		var err error
		bounds.Check(t, fuzzedMemory, func() {
			result, err = Client(t.Context(), script, &Request{Host: "h", Subprotocols: []string{"mqtt"}, MaxSize: 4096})
		})
		if err != nil {
			checkFailure(t, err)
			return
		}
		head, ok := strings.CutSuffix(script.response, string(result.Early)+script.unread())
		if !ok || !strings.HasSuffix(head, "\n") || !strings.Contains(head, " 101") || !strings.Contains(head, string(result.RawHeader)) {
			t.Fatalf("of %q: header lines %q, early %q", script.response, result.RawHeader, result.Early)
		}
	})
}

// FuzzServerConn checks that the server accepts any request, or answers it with the status that it
// returns.
func FuzzServerConn(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\n"+goodHeader+"\r\n\x81\x80mask", uint(20))
	f.Add("GET / HTTP/1.1\r\n"+goodHeader+"Sec-WebSocket-Protocol: a, mqtt\r\n\r\n", uint(20))
	f.Add("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", uint(0))
	f.Add("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", uint(0))
	f.Add("GET / HTTP/1.1\nHost: h\n\n", uint(5))
	f.Fuzz(func(t *testing.T, request string, cut uint) {
		script := &scripted{response: request, cut: int(cut % (1 << 20))}
		var result *Result
		var r *http.Request
		var err error
		bounds.Check(t, fuzzedMemory, func() {
			result, r, err = ServerConn(t.Context(), script, &ServerOptions{Subprotocols: []string{"mqtt"}, MaxSize: 4096})
		})
		status := http.StatusSwitchingProtocols
		if err != nil {
			status = checkFailure(t, err).Status
		} else if !strings.HasSuffix(request, string(result.Early)+script.unread()) || r.Host == "" {
			t.Fatalf("of %q: early %q", request, result.Early)
		}
		if status == 0 && script.received.Len() == 0 {
			return
		}
		response, err := http.ReadResponse(bufio.NewReader(&script.received), nil)
		if err != nil || response.StatusCode != status {
			t.Fatalf("answered %v, %v; want %d", response, err, status)
		}
	})
}

func checkFailure(t *testing.T, err error) *HandshakeError {
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Reason == "" || len(failed.Body) > bodySize || (failed.Status == 0) != (failed.Header == nil) {
		t.Fatalf("%#v", err)
	}
	return failed
}

// FuzzExtensions checks that a server rejects any offer, or sends a response that a client accepts, so
// that their settings fit.
func FuzzExtensions(f *testing.F) {
	for _, offer := range []string{
		"permessage-deflate; client_max_window_bits, permessage-deflate",
		"permessage-deflate; server_max_window_bits=8; server_no_context_takeover;client_no_context_takeover",
		`x; y="a\"b", permessage-deflate; client_max_window_bits="9"`,
		"permessage-deflate; server_max_window_bits=15; server_max_window_bits=15", ",;=",
	} {
		f.Add(offer, uint8(0xff), uint8(0))
		f.Add(offer, uint8(0x1b), uint8(3))
	}
	f.Fuzz(func(t *testing.T, offer string, bits, takeover uint8) {
		requested := compression(takeover&1 != 0, takeover&2 != 0, 8+int(bits&7), 8+int(bits>>3&7))
		server, response, err := acceptOffer(requested, []string{offer})
		if err != nil || response == "" {
			if server.Level != 0 && err == nil {
				t.Fatalf("%+v without a response", server)
			}
			return
		}
		client, err := acceptResponse(engine.Compression{Level: 1, SendTakeover: true, RecvTakeover: true}, []string{response})
		if err != nil {
			t.Fatalf("%q: %q: %v", offer, response, err)
		}
		if client.SendTakeover && !server.RecvTakeover || server.SendTakeover && !client.RecvTakeover ||
			client.SendWindowBits > server.RecvWindowBits || server.SendWindowBits > client.RecvWindowBits {
			t.Fatalf("%q: %q: %+v and %+v", offer, response, client, server)
		}
	})
}
