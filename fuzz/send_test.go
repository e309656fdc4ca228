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

// A traffic is what a peer gets of the frames sent: messages and control frames, each in
// order. How a message writer cuts its messages is its own affair.
type traffic struct {
	messages []message
	control  []frame
	open     string // payload of a message that has not ended
}

// equal compares with what was sent. Of a message that has not ended a part may have been
// held back.
func (s traffic) equal(want traffic) bool {
	return slices.Equal(s.messages, want.messages) && slices.Equal(s.control, want.control) &&
		strings.HasPrefix(want.open, s.open)
}

func (s traffic) String() string {
	return fmt.Sprintf("%.500q; %q; open %.100q", fmt.Sprint(s.messages), fmt.Sprint(s.control), s.open)
}

// trafficOf gathers frames.
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

// A sender carries out a program on a Conn and notes what was accepted.
type sender struct {
	t        *testing.T
	c        *websock.Conn
	program  program
	accepted []frame
	closed   bool
	broken   bool // a message was begun by a writer that failed
}

// run returns what a peer has to get.
func (s *sender) run() traffic {
	for !s.program.ended() && !s.broken {
		s.step()
	}
	s.note(s.c.Flush())
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
		s.lend(op, fin, s.program.payload())
	case 7:
		s.write(op)
	case 8:
		s.c.Cork()
	case 9:
		s.note(s.c.Flush())
	case 10:
		s.stream(op)
	case 11:
		s.close(websock.CloseCode(900+int(op)*100+int(s.program.next())), string(s.program.payload()))
	}
}

// note checks an error, and reports whether there was none.
func (s *sender) note(err error) bool {
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
	if s.note(err) {
		s.accepted = append(s.accepted, frame{op, fin, string(p)})
	}
}

// lend sends from a lent buffer that is larger than what is sent.
func (s *sender) lend(op websock.Opcode, fin bool, p []byte) {
	buffer, err := s.c.Reserve(len(p) + 3)
	if s.note(err) {
		copy(buffer.Bytes(), p)
		s.frame(op, fin, p, buffer.SendFrame(op, fin, len(p)))
	}
}

// write sends a message through a writer, with pings between. One that failed must not
// look whole to the peer.
func (s *sender) write(op websock.Opcode) {
	w, err := s.c.NextWriter(op)
	if !s.note(err) {
		return
	}
	var payload []byte
	for range s.program.next() % 4 {
		p := s.program.payload()
		_, err := w.Write(p)
		s.broken = s.broken || !s.note(err)
		if !s.broken {
			payload = append(payload, p...)
		}
		ping := s.program.take(2)
		s.frame(websock.OpPing, true, ping, s.c.SendPing(ping))
	}
	whole := s.note(w.Close())
	if s.broken && whole {
		s.t.Fatal("a message of which a part could not be sent was ended")
	}
	s.broken = !whole
	s.accepted = append(s.accepted, frame{op, whole, string(payload)})
}

// stream sends a message as a stream of bytes has it, where nothing is no message.
func (s *sender) stream(op websock.Opcode) {
	p := s.program.payload()
	_, err := s.c.NetConn(op).Write(p)
	if len(p) == 0 {
		s.note(err)
		return
	}
	s.frame(op, true, p, err)
}

func (s *sender) close(code websock.CloseCode, reason string) {
	err := s.c.CloseWith(code, reason)
	switch first := !s.closed && s.note(err); {
	case first:
		s.closed = true
		s.frame(websock.OpClose, true, engine.AppendClose(nil, code, reason), nil)
	case err != nil && s.note(err):
	}
}

// FuzzSend makes a Conn send in all ways there are, and demands that a Decoder on the
// other side gets what was accepted, and finds nothing wrong with it.
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
			t.Fatalf("sent %v\narrived %v, %v", want, trafficOf(got.frames), got.err)
		}
		c.Close()
	})
}
