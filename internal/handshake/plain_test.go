package handshake

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/race"
)

func TestOrdinaryResponsesArePlain(t *testing.T) {
	for _, response := range []string{
		agreed,
		"HTTP/1.1 101\r\n\r\n",
		"HTTP/1.1 101 Web Socket Protocol Handshake\r\nserver: x/1\r\ndate: Fri, 27 Nov 2026 16:00:00 GMT\r\nX-Empty:\r\n\r\n",
		strings.Replace(agreed, "Upgrade: websocket", "UPGRADE:\t WebSocket ", 1),
	} {
		if _, ok := parsePlain([]byte(response)); !ok {
			t.Errorf("%q is not plain", response)
		}
	}
}

func TestOtherResponsesAreNotPlain(t *testing.T) {
	for name, response := range map[string]string{
		"another status":           "HTTP/1.1 200 OK\r\n\r\n",
		"a status of four digits":  "HTTP/1.1 1010\r\n\r\n",
		"another version":          strings.Replace(agreed, "1.1", "1.0", 1),
		"a bare LF":                strings.Replace(agreed, "\r\n", "\n", 1),
		"a bare LF after a header": strings.Replace(agreed, "websocket\r\n", "websocket\n", 1),
		"a folded line":            strings.Replace(agreed, "websocket\r\n", "websocket\r\n x\r\n", 1),
		"a line without a colon":   strings.Replace(agreed, "Upgrade:", "Upgrade", 1),
		"a space after a name":     strings.Replace(agreed, "Upgrade:", "Upgrade :", 1),
		"no name":                  strings.Replace(agreed, "Upgrade:", ":", 1),
		"a repeated header":        strings.Replace(agreed, "\r\n\r\n", "\r\nupgrade: websocket\r\n\r\n", 1),
		"a value of Latin 1":       strings.Replace(agreed, "websocket", "websocket\xe4", 1),
		"a NUL":                    strings.Replace(agreed, "websocket", "websocket\x00", 1),
		"no empty line":            strings.TrimSuffix(agreed, "\r\n"),
	} {
		if p, ok := parsePlain([]byte(response)); ok {
			t.Errorf("%s: plain, %q", name, p)
		}
	}
}

// TestAPlainHandshakeAllocatesItsResultOnly opens connections with a peer that allocates nothing.
func TestAPlainHandshakeAllocatesItsResultOnly(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	peer := &frugalPeer{}
	r := &Request{Host: "example.com", Subprotocols: []string{"mqtt"}}
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := Client(context.Background(), peer, r); err != nil {
			t.Fatal(err)
		}
	})
	if most := 2.0; allocs > most { // the Result, and its RawHeader
		t.Errorf("%v allocations, want %v", allocs, most)
	}
}

// A frugalPeer answers each request.
type frugalPeer struct {
	net.Conn
	answer []byte
}

func (p *frugalPeer) Write(request []byte) (int, error) {
	_, after, _ := bytes.Cut(request, []byte("Sec-WebSocket-Key: "))
	var k key
	copy(k[:], after)
	accept := k.accept()
	before, rest, _ := strings.Cut(agreed, "ACCEPT")
	p.answer = append(append(append(p.answer[:0], before...), accept[:]...), rest...)
	return len(request), nil
}

func (p *frugalPeer) Read(into []byte) (int, error) { return copy(into, p.answer), nil }

func (p *frugalPeer) SetDeadline(time.Time) error { return nil }

// FuzzPlainResponse checks that a plain response means the same to the parser of all responses, and that
// what a plain response agrees to is what it would agree to there.
func FuzzPlainResponse(f *testing.F) {
	k := key([]byte("dGhlIHNhbXBsZSBub25jZQ=="))
	accepted := strings.Replace(agreed, "ACCEPT", acceptFor(string(k[:])), 1)
	f.Add(accepted)
	f.Add(strings.Replace(accepted, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1))
	f.Add(strings.Replace(accepted, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: \r\nSec-WebSocket-Extensions: \t\r\n\r\n", 1))
	f.Add(strings.Replace(accepted, "Connection: Upgrade", "connection: keep-alive, Upgrade", 1))
	f.Add("HTTP/1.1 101 \t\r\nX:\r\n\r\n")
	request := &Request{Host: "h", Subprotocols: []string{"mqtt"}, Compression: engine.DefaultCompression}
	f.Fuzz(func(t *testing.T, text string) {
		head := []byte(text)[:endOfHead([]byte(text), 0)]
		p, ok := parsePlain(head)
		if !ok {
			return
		}
		r, err := parseResponse(head)
		if err != nil || r.proto != "HTTP/1.1" || r.status != http.StatusSwitchingProtocols {
			t.Fatalf("%q: %+v, %v", head, r, err)
		}
		for name, value := range map[string][]byte{
			headerUpgrade: p.upgrade, headerConnection: p.connection, headerAccept: p.accept,
			headerProtocol: p.protocol, headerExtensions: p.extensions,
		} {
			var want []string
			if value != nil {
				want = []string{string(value)}
			}
			if !slices.Equal(r.header[name], want) {
				t.Fatalf("%q: %s is %q, want %q", head, name, want, r.header[name])
			}
		}
		if a, ok := p.agreement(request, &k); ok {
			if want, failed := r.agreement(request, &k); failed != nil || a != want {
				t.Fatalf("%q: %+v, want %+v, %v", head, a, want, failed)
			}
		}
	})
}
