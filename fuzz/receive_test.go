package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/bounds"
)

// received is what a Conn receives and sends until it ends.
type received struct {
	messages []message
	err      error
	sent     []frame
}

type message struct {
	opcode  websock.Opcode
	payload string
}

func (m message) String() string { return fmt.Sprintf("%v %q", m.opcode, m.payload) }

// expected returns what a Conn has to receive and send for the frames that a Decoder found. Pings and
// the end are answered.
func expected(f found) (want received) {
	var payload string
	var op websock.Opcode
	for _, frame := range f.frames {
		switch frame.opcode {
		case websock.OpPing:
			want.sent = append(want.sent, engineFrame(websock.OpPong, []byte(frame.payload)))
		case websock.OpPong:
		case websock.OpClose:
			code, reason, _ := engine.ParseClose([]byte(frame.payload))
			want.sent = append(want.sent, engineFrame(websock.OpClose, engine.AppendClose(nil, code, "")))
			want.err = &websock.CloseError{Code: code, Reason: string(reason)}
			return want
		default:
			if frame.opcode != websock.OpContinuation {
				op, payload = frame.opcode, ""
			}
			payload += frame.payload
			if frame.fin {
				want.messages = append(want.messages, message{op, payload})
			}
		}
	}
	if want.err = f.err; want.err == nil {
		want.err = &websock.CloseError{Code: websock.CloseAbnormal, Err: io.ErrUnexpectedEOF}
		return want
	}
	code, reason := closeFor(f.err)
	want.sent = append(want.sent, engineFrame(websock.OpClose, engine.AppendClose(nil, code, reason)))
	return want
}

func engineFrame(op websock.Opcode, payload []byte) frame { return frame{op, true, string(payload)} }

// closeFor returns the code and reason of the close frame that an error is answered with.
func closeFor(err error) (websock.CloseCode, string) {
	var broken *websock.ProtocolError
	if errors.As(err, &broken) {
		return broken.Code, broken.Rule
	}
	var limit *websock.LimitError
	errors.As(err, &limit)
	return limit.Code, "limit " + limit.Limit + " exceeded"
}

func (r received) equal(want received) bool {
	var closed, wantClosed *websock.CloseError
	same := sameError(r.err, want.err)
	if errors.As(r.err, &closed) && errors.As(want.err, &wantClosed) {
		same = *closed == *wantClosed
	}
	return same && slices.Equal(r.messages, want.messages) && slices.Equal(r.sent, want.sent)
}

func (r received) String() string { return fmt.Sprintf("%v, %v; sent %v", r.messages, r.err, r.sent) }

// ways has all ways to receive to the end.
var ways = map[string]func(t *testing.T, c *websock.Conn, s *stream) received{
	"Recv of a byte":     func(t *testing.T, c *websock.Conn, _ *stream) received { return pull(t, c, 1) },
	"Recv of many bytes": func(t *testing.T, c *websock.Conn, _ *stream) received { return pull(t, c, 5000) },
	"RecvMessage":        pullMessages,
	"NextReader":         pullReaders,
	"a Handler":          func(_ *testing.T, c *websock.Conn, s *stream) received { return push(c, s, &collector{}) },
	"Messages":           pushMessages,
	"a Handler that pauses": func(_ *testing.T, c *websock.Conn, s *stream) received {
		return push(c, s, &collector{pauses: true})
	},
}

func pull(t *testing.T, c *websock.Conn, size int) (r received) {
	var g collector
	buf := make([]byte, size)
	for {
		h, n, err := c.Recv(buf)
		switch {
		case errors.Is(err, websock.ErrTimeout):
			if n != 0 {
				t.Fatalf("%d bytes with ErrTimeout", n)
			}
		case err != nil:
			g.received.err = err
			return g.received
		case h.Opcode != websock.OpNone:
			g.OnData(c, h, buf[:n])
		}
	}
}

func pullMessages(t *testing.T, c *websock.Conn, _ *stream) (r received) {
	var msg []byte
	for {
		op, part, err := c.RecvMessage(msg)
		switch {
		case errors.Is(err, websock.ErrTimeout):
			msg = part
		case err != nil:
			r.err = err
			return r
		default:
			r.messages = append(r.messages, message{op, string(part)})
			msg = nil
		}
	}
}

func pullReaders(t *testing.T, c *websock.Conn, _ *stream) (r received) {
	for {
		op, reader, err := c.NextReader()
		if errors.Is(err, websock.ErrTimeout) {
			continue
		}
		if err != nil {
			r.err = err
			return r
		}
		var payload []byte
		for {
			part, err := io.ReadAll(reader)
			payload = append(payload, part...)
			if err == nil {
				r.messages = append(r.messages, message{op, string(payload)})
				break
			}
			if !errors.Is(err, websock.ErrTimeout) {
				r.err = err
				return r
			}
		}
	}
}

// A collector is a Handler that joins payload to messages.
type collector struct {
	received
	op      websock.Opcode
	payload []byte
	open    bool
	pauses  bool // after every call
	ends    int
}

func (g *collector) OnData(c *websock.Conn, h websock.Header, payload []byte) {
	if !g.open {
		g.op, g.payload = h.Opcode, nil
	}
	g.payload = append(g.payload, payload...)
	g.open = !h.Fin || h.Remaining > 0
	if !g.open {
		g.messages = append(g.messages, message{g.op, string(g.payload)})
	}
	if g.pauses {
		c.Pause()
	}
}

func (g *collector) OnClose(_ *websock.Conn, err error) { g.ends, g.err = g.ends+1, err }

func push(c *websock.Conn, s *stream, g *collector) received {
	c.SetHandler(g) // a stream is a Pusher
	s.play(c)
	if g.ends != 1 {
		g.err = fmt.Errorf("OnClose was called %d times", g.ends)
	}
	return g.received
}

func pushMessages(_ *testing.T, c *websock.Conn, s *stream) (r received) {
	c.SetHandler(websock.Messages(
		func(_ *websock.Conn, op websock.Opcode, msg []byte) {
			r.messages = append(r.messages, message{op, string(msg)})
		},
		func(_ *websock.Conn, err error) { r.err = err },
	))
	s.play(c)
	return r
}

// FuzzReceive gives a Conn what a peer may send, cut anywhere, with timeouts in between. Every way to
// receive must return the messages and the error, and send the answers, that follow from what a
// Decoder finds, with memory for what arrived and not for what was declared.
func FuzzReceive(f *testing.F) {
	for _, stream := range streams {
		f.Add([]byte(stream), []byte{1, 0, 2, 0, 3}, true)
		f.Add([]byte(stream), []byte{0, 1, 0, 7}, false)
	}
	f.Fuzz(func(t *testing.T, sent, cuts []byte, server bool) {
		role := roleOf(server)
		want := expected(decode(t, role, decoderLimits, websock.Compression{}, [][]byte{sent}))
		for name, receive := range ways {
			s := &stream{}
			whole := bytes.Clone(sent) // it is unmasked in place
			pieces(len(sent), cuts, func(from, to int) { s.pieces = append(s.pieces, whole[from:to:to]) })
			c := websock.NewConn(s, role, websock.Options{Limits: limits})
			var got received
			bounds.Check(t, 3<<20+64*uint64(len(sent)), func() { got = receive(t, c, s) })
			c.Close()
			got.sent = decode(t, 1-role, decoderLimits, websock.Compression{}, [][]byte{s.sent}).frames
			if !got.equal(want) {
				t.Fatalf("%s: %v\nwant %v", name, got, want)
			}
			if !s.closed {
				t.Fatalf("%s: the transport was not closed", name)
			}
		}
	})
}
