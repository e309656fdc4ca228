package backlog

import (
	"bytes"
	"compress/flate"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// TurnBytes and TurnCalls are how much payload, and in how many calls, a Handler may get before
// other connections have their turn.
const (
	TurnBytes = 256 << 10
	TurnCalls = 1 << 10
)

// Streams returns streams of some 16 KB by the kind of work that they make: "inflating", 16 messages
// that inflate to 1 MB each, and "tiny", 8,192 empty messages.
func Streams() map[string][]byte {
	var payload bytes.Buffer
	w, _ := flate.NewWriter(&payload, flate.BestCompression)
	w.Write(make([]byte, 1<<20))
	w.Flush()
	p := bytes.TrimSuffix(payload.Bytes(), []byte("\x00\x00\xff\xff"))
	bomb := append(engine.AppendHeader(nil, websock.Header{Fin: true, Rsv: 4, Opcode: websock.OpBinary, Length: int64(len(p))}), p...)
	return map[string][]byte{
		"inflating": bytes.Repeat(bomb, 16),
		"tiny":      bytes.Repeat([]byte("\x82\x00"), 8<<10),
	}
}

// A Handler counts what it gets.
type Handler struct {
	Calls, Bytes int
	OnFirst      func(c *websock.Conn) // called in the first call
	Pauses       bool                  // now and then, for a moment
	Closed       chan error            // gets the error of OnClose
}

// OnData counts.
func (h *Handler) OnData(c *websock.Conn, _ websock.Header, payload []byte) {
	h.Calls++
	h.Bytes += len(payload)
	if h.Pauses && h.Calls%97 == 0 {
		c.Pause()
		go c.Resume()
	}
	if h.Calls == 1 && h.OnFirst != nil {
		h.OnFirst(c)
	}
}

// OnClose sends err to Closed.
func (h *Handler) OnClose(_ *websock.Conn, err error) { h.Closed <- err }
