//go:build linux

package epoll

import (
	"bytes"
	"io"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

func TestAPingIsAnsweredOnceThePeerHasTakenWhatWasQueued(t *testing.T) {
	transport, peer := attached(t, "tcp")
	c := engine.NewConn(transport, engine.Options{Role: engine.Server})
	c.SetHandler(engine.Messages(func(*engine.Conn, engine.Opcode, []byte) {}, nil))
	large := bytes.Repeat([]byte("x"), 1<<20)
	if err := c.SendBinary(large); err != nil {
		t.Fatal(err)
	}
	io.WriteString(peer, "\x89\x81\x00\x00\x00\x00p") // while it takes nothing
	until(t, "the ping is received", func() bool { return c.Stats().PingsReceived == 1 })
	readAll(t, peer, append(engine.AppendHeader(nil, engine.Header{Fin: true, Opcode: engine.OpBinary, Length: 1 << 20}), large...))
	readAll(t, peer, []byte("\x8a\x01p"))
}
