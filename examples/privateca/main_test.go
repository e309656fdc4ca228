package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestTrustsTheGivenAuthority(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			op, msg, err := conn.RecvMessage(nil)
			if err != nil {
				return
			}
			conn.SendFrame(op, true, msg)
		}
	}))
	defer server.Close()
	url := "wss" + strings.TrimPrefix(server.URL, "https")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := echo(&out, ca, url); err != nil || out.String() != "Hello, private server\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	_, err := websock.Dial(t.Context(), url, nil)
	if !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("without the authority: %v", err)
	}
}
