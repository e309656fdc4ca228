package handshake

import (
	"bufio"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

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

// FuzzCheckResponse checks that the client accepts or rejects any response of HTTP/2, and returns
// header lines that say what the response did. A response is lines "name: value".
func FuzzCheckResponse(f *testing.F) {
	f.Add(":status: 200\nsec-websocket-protocol: mqtt\nsec-websocket-accept: x", false, false)
	f.Add(":status: 200\nsec-websocket-extensions: permessage-deflate; server_no_context_takeover", false, false)
	f.Add(":status: 403\ncontent-type: text/plain\nset-cookie: a\nset-cookie: b", true, false)
	f.Add(":status: 307\nlocation: /there", false, false)
	f.Add(":status: 200\nconnection: close\n:path: /\nUpper: x", false, true)
	f.Fuzz(func(t *testing.T, text string, ended, truncated bool) {
		fields := parsedFields(text)
		body := &streamBody{Reader: strings.NewReader(text)}
		var result *Result
		var err error
		bounds.Check(t, fuzzedMemory, func() {
			r := &Request{Host: "h", Subprotocols: []string{"mqtt"}, Compression: engine.Compression{Level: 1}, MaxSize: 4096}
			result, err = r.CheckResponse(t.Context(), ResponseHead{Fields: fields, EndStream: ended, Truncated: truncated}, body)
		})
		if err != nil {
			checkFailure(t, err)
			return
		}
		if ended || truncated || !strings.HasPrefix(fields[0].Value, "2") {
			t.Fatalf("accepted %q", text)
		}
		lines := strings.SplitAfter(string(result.RawHeader), "\r\n")
		for i, field := range fields[1:] {
			name, value, _ := strings.Cut(strings.TrimSuffix(lines[i], "\r\n"), ": ")
			if !strings.EqualFold(name, field.Name) || value != field.Value {
				t.Fatalf("%v became %q", field, lines[i])
			}
		}
		if len(lines) != len(fields) { // the last line is empty, and :status is none
			t.Fatalf("%v became %q", fields, lines)
		}
	})
}

// FuzzAcceptStream checks that the server declines any request of HTTP/2, or sends a response that a
// client accepts that has offered the same. A request is lines "name: value".
func FuzzAcceptStream(f *testing.F) {
	valid := ":method: CONNECT\n:protocol: websocket\n:path: /\n:authority: h\nsec-websocket-version: 13\n"
	f.Add(valid+"sec-websocket-key: "+testKey, int64(-1))
	f.Add(valid+"sec-websocket-protocol: a, mqtt\norigin: http://h\ncookie: a=b", int64(-1))
	f.Add(valid+"sec-websocket-extensions: permessage-deflate; client_max_window_bits; server_max_window_bits=9", int64(-1))
	f.Add(valid+"connection: close\nte: trailers", int64(-1))
	f.Add(":method: GET\n:path: /\n:authority: h", int64(0))
	f.Add(":method: CONNECT\n:authority: h:443", int64(-1))
	f.Fuzz(func(t *testing.T, text string, length int64) {
		r := requestOf(parsedFields(text))
		r.ContentLength = length
		w := &streamWriter{ResponseRecorder: httptest.NewRecorder()}
		var result *Result
		var err error
		bounds.Check(t, fuzzedMemory, func() {
			_, result, err = AcceptStream(w, w, r, &ServerOptions{Subprotocols: []string{"mqtt"}, Compression: engine.DefaultCompression})
		})
		if err != nil {
			if failed := checkFailure(t, err); failed.Status < 400 || w.Code != failed.Status || w.status != 0 {
				t.Fatalf("answered %d, %d; returned %v", w.Code, w.status, err)
			}
			return
		}
		fields := appendHeader(fieldList(":status", "200"), w.header)
		everything := engine.Compression{Level: 1, SendTakeover: true, RecvTakeover: true}
		client, err := (&Request{Host: "h", Subprotocols: []string{"mqtt"}, Compression: everything}).CheckResponse(t.Context(), ResponseHead{Fields: fields}, nil)
		if err != nil || client.Subprotocol != result.Subprotocol || client.Compression.IsOff() != result.Compression.IsOff() {
			t.Fatalf("%q: %v: %+v and %+v, %v", text, fields, result, client, err)
		}
	})
}

// parsedFields returns the header list of lines "name: value".
func parsedFields(text string) (fields []hpack.HeaderField) {
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		fields = append(fields, hpack.HeaderField{Name: name, Value: value})
	}
	return fields
}

// requestOf returns a header list as a server presents it to a handler.
func requestOf(fields []hpack.HeaderField) *http.Request {
	r := &http.Request{ProtoMajor: 2, Header: http.Header{}}
	for _, field := range fields {
		switch field.Name {
		case ":method":
			r.Method = field.Value
		case ":path":
			r.RequestURI = field.Value
		case ":authority":
			r.Host = field.Value
		default:
			r.Header.Add(field.Name, field.Value)
		}
	}
	return r
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
