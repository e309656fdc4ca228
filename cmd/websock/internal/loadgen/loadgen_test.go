package loadgen

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
	"github.com/seed004e8d11/websock/fanout"
)

func TestConnectionsThatOpenAfterTheExchangeSendNothing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		for err == nil {
			_, _, err = conn.RecvMessage(nil)
		}
	}))
	defer server.Close()
	g := New(Config{
		Targets:     []fanout.Target{{URL: "ws" + strings.TrimPrefix(server.URL, "http")}},
		Connections: 2,
		Message:     payload.New(false, 16),
		Window:      1,
	})
	g.enter(draining)
	if err := g.Dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	result, err := g.Finish(time.Second)
	if err != nil || result.Connections != 2 || result.Final.Sent != 0 {
		t.Errorf("%+v, %v", result, err)
	}
}
