//go:build linux

package epoll

import (
	"bytes"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/transporttest"
)

func TestAFirehoseLeavesOthersOnItsLoopTheirTurn(t *testing.T) {
	for kind, stream := range transporttest.Firehoses() {
		t.Run(kind, func(t *testing.T) {
			loops := Loops(1)
			connect := func(early []byte, h engine.Handler) {
				client, _ := netpair.Sockets(t, "tcp")
				carrier, err := loops.Attach(client, early)
				if err != nil {
					t.Fatal(err)
				}
				c := engine.NewConn(carrier, engine.Options{Compression: engine.Compression{Level: 1}})
				if err := c.SetHandler(h); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Abort(nil) })
			}
			neighbourIsHere := make(chan struct{})
			f := &transporttest.Firehose{Closed: make(chan error, 1)}
			f.OnFirst = func(*engine.Conn) { <-neighbourIsHere }
			connect(bytes.Clone(stream), f)
			type work struct{ bytes, calls int }
			served := make(chan work, 1)
			connect([]byte("\x82\x00"), engine.Messages(func(*engine.Conn, engine.Opcode, []byte) {
				served <- work{f.Bytes, f.Calls}
			}, nil))
			close(neighbourIsHere)
			select {
			case got := <-served:
				if got.bytes > transporttest.FirehoseTurn || got.calls > transporttest.FirehoseCalls {
					t.Errorf("the firehose's Handler got %d bytes in %d calls first", got.bytes, got.calls)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the neighbour was not served")
			}
		})
	}
}
