package fuzz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/bounds"
)

// A traffic is what a peer receives: messages and control frames, each in order. The fragments of a
// message are not compared, since a message writer chooses them.
type traffic struct {
	messages []message
	control  []frame
	open     string // payload of an incomplete message
}

// equal reports whether s is what was sent. Of an incomplete message a part may still be buffered.
func (s traffic) equal(want traffic) bool {
	return slices.Equal(s.messages, want.messages) && slices.Equal(s.control, want.control) &&
		strings.HasPrefix(want.open, s.open)
}

func (s traffic) String() string {
	return fmt.Sprintf("%.500q; %q; open %.100q", fmt.Sprint(s.messages), fmt.Sprint(s.control), s.open)
}

// trafficOf joins frames.
func trafficOf(frames []frame) (s traffic) {
	var op websock.Opcode
	for _, f := range frames {
		if f.opcode.IsControl() {
			s.control = append(s.control, f)
			continue
		}
		if f.opcode != websock.OpContinuation {
			op = f.opcode
		}
		s.open += f.payload
		if f.fin {
			s.messages = append(s.messages, message{op, s.open})
			s.open = ""
		}
	}
	return s
}

// A sender runs a program on a Conn and records what was accepted.
type sender struct {
	t        *testing.T
	c        *websock.Conn
	program  program
	accepted []frame
	closed   bool
	broken   bool // a message was begun by a writer that failed
}

// run returns what the peer has to receive.
func (s *sender) run() traffic {
	for !s.program.ended() && !s.broken {
		s.step()
	}
	s.accept(s.c.Flush())
	return trafficOf(s.accepted)
}

func (s *sender) step() {
	kind := s.program.next()
	op := websock.Opcode(s.program.next() % 12)
	fin := kind&0x10 == 0
	switch kind % 12 {
	case 0, 1, 2, 3:
		p := s.program.payload()
		s.frame(op, fin, p, s.c.SendFrame(op, fin, p))
	case 4:
		p := s.program.payload()
		s.frame(websock.OpText, true, p, s.c.SendText(p))
	case 5:
		p := s.program.payload()
		s.frame(websock.OpPing, true, p, s.c.SendPing(p))
	case 6:
		s.reserve(op, fin, s.program.payload())
	case 7:
		s.write(op)
	case 8:
		s.c.Cork()
	case 9:
		s.accept(s.c.Flush())
	case 10:
		s.stream(op)
	case 11:
		s.close(websock.CloseCode(900+int(op)*100+int(s.program.next())), string(s.program.payload()))
	}
}

// accept reports whether err is nil, and fails for an error that isn't documented.
func (s *sender) accept(err error) bool {
	s.t.Helper()
	var closed *websock.CloseError
	switch {
	case err == nil:
		return true
	case errors.Is(err, websock.ErrFrameOrder), errors.Is(err, websock.ErrInvalidUTF8),
		errors.Is(err, websock.ErrControlTooLong), errors.Is(err, websock.ErrCloseCode):
	case errors.As(err, &closed) && s.closed && closed.Local:
	default:
		s.t.Fatalf("%v is no documented error", err)
	}
	return false
}

func (s *sender) frame(op websock.Opcode, fin bool, p []byte, err error) {
	s.t.Helper()
	if s.accept(err) {
		s.accepted = append(s.accepted, frame{op, fin, string(p)})
	}
}

// reserve sends from a reserved buffer that is larger than the payload.
func (s *sender) reserve(op websock.Opcode, fin bool, p []byte) {
	buffer, err := s.c.Reserve(len(p) + 3)
	if s.accept(err) {
		copy(buffer.Bytes(), p)
		s.frame(op, fin, p, buffer.SendFrame(op, fin, len(p)))
	}
}

// write sends a message through a writer, with pings in between. After an error the message must
// stay incomplete.
func (s *sender) write(op websock.Opcode) {
	w, err := s.c.NextWriter(op)
	if !s.accept(err) {
		return
	}
	var payload []byte
	for range s.program.next() % 4 {
		p := s.program.payload()
		_, err := w.Write(p)
		s.broken = s.broken || !s.accept(err)
		if !s.broken {
			payload = append(payload, p...)
		}
		ping := s.program.take(2)
		s.frame(websock.OpPing, true, ping, s.c.SendPing(ping))
	}
	whole := s.accept(w.Close())
	if s.broken && whole {
		s.t.Fatal("a message was completed after a part of it was refused")
	}
	s.broken = !whole
	s.accepted = append(s.accepted, frame{op, whole, string(payload)})
}

// stream sends a message through NetConn, where an empty write sends nothing.
func (s *sender) stream(op websock.Opcode) {
	p := s.program.payload()
	_, err := s.c.NetConn(op).Write(p)
	if len(p) == 0 {
		s.accept(err)
		return
	}
	s.frame(op, true, p, err)
}

func (s *sender) close(code websock.CloseCode, reason string) {
	err := s.c.CloseWith(code, reason)
	switch first := !s.closed && s.accept(err); {
	case first:
		s.closed = true
		s.frame(websock.OpClose, true, engine.AppendClose(nil, code, reason), nil)
	case err != nil && s.accept(err):
	}
}

// FuzzSend sends on a Conn in every way. A Decoder in the other role must find what was accepted, and
// no error.
func FuzzSend(f *testing.F) {
	f.Add([]byte("\x00\x01\x05Hello\x10\x01\x02\xe2\x82\x05\x00\x04ping\x00\x00\x01\xac"), false)
	f.Add([]byte("\x08\x00\x04\x00\x03abc\x06\x02\x03def\x09\x00\x0b\x03\x00\x03bye\x04\x00\x01x"), true)
	f.Add([]byte("\x07\x01\x03\xf3abc\x05defgh\xf4ijk\x04\x00\x01z"), false)
	f.Add([]byte("\x07\x01\x02\xf3a\xf3\xff\x04\x00\x01z"), true)
	f.Add([]byte("\x0a\x02\xf5mno\x04\x00\x01\xff\x05\x00\xf2p"), false)
	f.Add([]byte("\x0a\x01\x00\x05\x00\x02hi"), false)
	f.Fuzz(func(t *testing.T, steps []byte, server bool) {
		role := roleOf(server)
		wire := &stream{}
		c := websock.NewConn(wire, role, websock.Options{})
		sender := &sender{t: t, c: c, program: steps}
		var want traffic
		bounds.Check(t, 8<<20+(1<<20)*uint64(len(steps)), func() { want = sender.run() })
		got := decode(t, 1-role, unlimited, websock.Compression{}, [][]byte{wire.sent})
		if got.err != nil || !trafficOf(got.frames).equal(want) {
			t.Fatalf("sent %v\nreceived %v, %v", want, trafficOf(got.frames), got.err)
		}
		c.Close()
	})
}
