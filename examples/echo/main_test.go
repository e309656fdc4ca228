package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestPrintsTheEcho(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		op, msg, err := conn.RecvMessage(nil)
		if err != nil {
			t.Error(err)
			return
		}
		conn.SendFrame(op, true, msg)
		conn.RecvMessage(nil)
	}))
	defer server.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	args, stdout := os.Args, os.Stdout
	defer func() { os.Args, os.Stdout = args, stdout }()
	os.Args = []string{"echo", "ws" + strings.TrimPrefix(server.URL, "http")}
	os.Stdout = w
	main()
	w.Close()
	if got, err := io.ReadAll(r); string(got) != "Hello, WebSocket" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReadmeShowsThisProgram(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(program), "func main() {")
	if !strings.Contains(string(readme), "```go\nfunc main() {"+body+"```") {
		t.Error("the README's program is not examples/echo/main.go")
	}
}
