package bench

import (
	"testing"

	"github.com/seed004e8d11/websock/internal/snippets"
)

// The migration guide uses other libraries, which only this module requires.
func TestMigrationGuideCompiles(t *testing.T) {
	all, err := snippets.Of("../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 8 {
		t.Fatalf("only %d blocks were found", len(all))
	}
	imports := snippets.Imports{}
	for _, path := range []string{
		"bufio", "context", "errors", "fmt", "log", "net/http", "time",
		"github.com/coder/websocket", "github.com/gobwas/ws", "github.com/gobwas/ws/wsutil",
		"github.com/gorilla/websocket", "github.com/lxzan/gws",
		"github.com/seed004e8d11/websock", "github.com/seed004e8d11/websock/compat/gorilla",
		"github.com/seed004e8d11/websock/engine",
		"github.com/seed004e8d11/websock/transport/epoll",
	} {
		imports[path] = path // blocks have import declarations
	}
	if err := snippets.Check(".", imports, all); err != nil {
		t.Error(err)
	}
}
