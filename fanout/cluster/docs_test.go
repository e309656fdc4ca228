package cluster_test

import (
	"testing"

	"github.com/seed004e8d11/websock/internal/snippets"
)

func TestDocumentationCompiles(t *testing.T) {
	const module = "github.com/seed004e8d11/websock"
	all, err := snippets.Of("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no code found")
	}
	imports := snippets.Imports{
		"cluster":   module + "/fanout/cluster",
		"context":   "context",
		"fanout":    module + "/fanout",
		"fmt":       "fmt",
		"jetstream": "github.com/nats-io/nats.go/jetstream",
		"nats":      "github.com/nats-io/nats.go",
		"websock":   module,
	}
	if err := snippets.Check(".", imports, all); err != nil {
		t.Error(err)
	}
}
