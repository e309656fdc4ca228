package serve

import (
	"io"
	"net"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestABroadcastLeavesNoDeadlineForPongs(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	go io.Copy(io.Discard, far)
	limited := &deadlineConn{Conn: near}
	carried, err := websock.Attach(std.Transport(), limited, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn := websock.NewConn(carried, websock.Server, websock.Options{})
	defer conn.Abort(nil)
	s := newConnSet()
	s.begin()
	s.opened(conn)
	s.broadcast([]byte("to everybody"))
	if sent := conn.Stats().MessagesSent; sent != 1 {
		t.Errorf("%d messages were sent", sent)
	}
	if !limited.deadline.IsZero() {
		t.Errorf("the write deadline is %v", limited.deadline)
	}
}
