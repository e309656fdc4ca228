package handshake

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// BenchmarkHandshake measures a handshake without a network.
func BenchmarkHandshake(b *testing.B) {
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	header := http.Header{"Origin": {"https://example.com"}, "User-Agent": {"bench"}}
	request := "GET /chat HTTP/1.1\r\n" + goodHeader + "Origin: https://example.com\r\nUser-Agent: bench\r\n\r\n"

	b.Run("Client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			script := &scripted{response: agreed}
			if _, err := Client(ctx, script, &Request{Host: "example.com", Target: "/chat", Header: header}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ServerConn", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := ServerConn(ctx, &scripted{response: request}, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Accept", func(b *testing.B) {
		b.ReportAllocs()
		r := upgradeRequest()
		for b.Loop() {
			w := hijackable{httptest.NewRecorder(), &scripted{}}
			if _, _, err := Accept(w, r, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	r := &Request{Host: "example.com", Target: "/chat", Header: header}
	b.Run("Fields", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Fields(true); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("CheckResponse", func(b *testing.B) {
		b.ReportAllocs()
		head := ResponseHead{Fields: fieldList(":status", "200", "server", "s", "date", "Thu, 26 Nov 2026 20:00:00 GMT")}
		for b.Loop() {
			if _, err := r.CheckResponse(ctx, head, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	compressed := &Request{Host: "example.com", Target: "/chat", Header: header, Compression: engine.DefaultCompression}
	b.Run("FieldsWithCompression", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := compressed.Fields(true); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("AcceptStream", func(b *testing.B) {
		b.ReportAllocs()
		r := connectRequest()
		w := &streamWriter{ResponseRecorder: httptest.NewRecorder()}
		for b.Loop() {
			if _, _, err := AcceptStream(w, w, r, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
