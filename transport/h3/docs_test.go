package h3_test

import (
	"testing"

	"github.com/seed004e8d11/websock/internal/snippets"
)

func TestDocumentationCompiles(t *testing.T) {
	const module = "github.com/seed004e8d11/websock"
	all, err := snippets.Of("../../docs/http3.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no code found")
	}
	imports := snippets.Imports{
		"context": "context",
		"errors":  "errors",
		"h3":      module + "/transport/h3",
		"http":    "net/http",
		"http3":   "github.com/quic-go/quic-go/http3",
		"log":     "log",
		"quic":    "github.com/quic-go/quic-go",
		"websock": module,
	}
	if err := snippets.Check(".", imports, all); err != nil {
		t.Error(err)
	}
}
