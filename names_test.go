package websock_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// protocolNames are the names of package engine that package websock does without: for those who use
// the protocol without a connection.
var protocolNames = []string{
	"Decoder", "Encoder", "Event", "EventKind", "PerMessageDeflate",
	"NewDecoder", "NewEncoder", "NewPerMessageDeflate", "ParseHeader", "AppendHeader", "ParseClose", "AppendClose", "CheckClose",
	"MaxHeaderSize", "MaxControlPayload", "RSV1", "Unlimited", "CompressedBound",
	"Closing", "ClosingState", "StateOpen", "StateCloseSent", "StateCloseReceived", "StateAborted", "StateClosed",
	"EventNone", "EventData", "EventPing", "EventPong", "EventClose",
}

func TestPackageWebsockHasTheEverydayNamesOfEngine(t *testing.T) {
	here, there := exportedNames(t, "."), exportedNames(t, "engine")
	for _, name := range protocolNames {
		if !there[name] {
			t.Errorf("engine has no %s", name)
		}
		delete(there, name)
	}
	for name := range there {
		if !here[name] {
			t.Errorf("websock has no alias of engine.%s", name)
		}
	}
}

// exportedNames returns what a package exports beside methods.
func exportedNames(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	add := func(ids ...*ast.Ident) {
		for _, id := range ids {
			if id.IsExported() {
				names[id.Name] = true
			}
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					add(d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						add(s.Name)
					case *ast.ValueSpec:
						add(s.Names...)
					}
				}
			}
		}
	}
	return names
}

// counter is a Handler of a program that imports package websock and a transport.
type counter struct {
	bytes int
	ended chan error
}

func (c *counter) OnData(_ *websock.Conn, _ websock.Header, payload []byte) { c.bytes += len(payload) }

func (c *counter) OnClose(_ *websock.Conn, err error) { c.ended <- err }

var _ websock.Handler = (*counter)(nil)

func TestAProgramImportsPackageWebsockAndATransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, &websock.AcceptOptions{
			Compression: websock.DefaultCompression,
			Transport:   epoll.Transport(),
			Limits:      websock.Limits{MessageSize: 1 << 10, WhenFull: websock.QueueRefuses},
		})
		if err != nil {
			t.Error(err)
			return
		}
		conn.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
			prepared, err := websock.NewPreparedMessage(op, msg)
			if err != nil {
				t.Error(err)
			}
			c.SendPrepared(prepared)
			c.CloseWith(websock.CloseTryAgainLater, "")
		}, nil))
	}))
	defer server.Close()
	url := "ws" + strings.TrimPrefix(server.URL, "http")

	var compression websock.Compression
	handler := &counter{ended: make(chan error, 1)}
	conn, err := websock.Dial(t.Context(), url, &websock.Config{
		Compression: websock.DefaultCompression,
		Transport:   epoll.Transport(),
		Handler:     handler,
	})
	if err != nil {
		t.Fatal(err)
	}
	if compression = conn.Compression(); compression.IsOff() || conn.Role() != websock.Client {
		t.Errorf("%+v %v", compression, conn.Role())
	}
	if err := conn.SendFrame(websock.OpBinary, true, []byte("Hello")); err != nil {
		t.Fatal(err)
	}
	var closed *websock.CloseError
	if err := <-handler.ended; !errors.As(err, &closed) || closed.Code != websock.CloseTryAgainLater || handler.bytes != 5 {
		t.Errorf("%v after %d bytes", err, handler.bytes)
	}

	conn, err = websock.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if h, _, err := conn.RecvTimeout(make([]byte, 1), time.Millisecond); !errors.Is(err, websock.ErrTimeout) || h.Opcode != websock.OpNone {
		t.Errorf("%v %v", h.Opcode, err)
	}
	if err := conn.SendText([]byte{0xff}); !errors.Is(err, websock.ErrInvalidUTF8) {
		t.Error(err)
	}
}

func ExampleMessages() {
	var refused *websock.HandshakeError
	_, err := websock.Dial(context.Background(), "ws://127.0.0.1:1/", &websock.Config{
		Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
			if op == websock.OpText {
				c.SendText(msg)
			}
		}, func(_ *websock.Conn, err error) {
			fmt.Println("over:", err)
		}),
	})
	fmt.Println(errors.As(err, &refused))
	// Output: true
}
