package main

import (
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestReceives100MBWithLittleMemory(t *testing.T) {
	const size = 100_000_000
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(i * i >> 7)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		if err := conn.SendBinary(payload); err != nil {
			t.Error(err)
		}
		conn.RecvMessage(nil)
	}))
	defer server.Close()
	sum := sha256.New()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := download(sum, "ws"+strings.TrimPrefix(server.URL, "http"))
	runtime.ReadMemStats(&after)
	if n != size || err != nil || [32]byte(sum.Sum(nil)) != sha256.Sum256(payload) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > size/10 {
		t.Errorf("%d bytes were allocated, by both sides", allocated)
	}
}
