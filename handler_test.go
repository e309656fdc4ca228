package websock

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

func TestMessagesDeliversWholeMessages(t *testing.T) {
	stream := frames(Client, "text Hello; bin+ a; ping ; cont+ ; cont b; text ; text+ ; cont c; close ")
	for _, chunks := range [][][]byte{{clone(stream)}, everyByte(clone(stream))} {
		c, s := newScripted(Client, Limits{}, chunks...)
		var got []string
		var closed error
		c.SetHandler(Messages(func(c *Conn, op Opcode, msg []byte) {
			got = append(got, fmt.Sprintf("%v %s", op, msg))
		}, func(_ *Conn, err error) { closed = err }))
		s.play()
		if want := "text Hello; binary ab; text ; text c"; strings.Join(got, "; ") != want {
			t.Errorf("%q, want %q", got, want)
		}
		if !errors.As(closed, new(*CloseError)) {
			t.Errorf("closed with %v", closed)
		}
	}
}

func TestMessagesNeedsNoCloseFunction(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "close "))
	c.SetHandler(Messages(func(*Conn, Opcode, []byte) {}, nil))
	if err := s.play(); !errors.As(err, new(*CloseError)) {
		t.Error(err)
	}
}

func TestMessagesDeliversMessagesOfLargeFragments(t *testing.T) {
	parts := []string{"a", strings.Repeat("b", 200000), "", strings.Repeat("c", 3<<20)}
	stream := frames(Client, "bin+ "+parts[0]+"; cont+ "+parts[1]+"; cont+ "+parts[2]+"; cont "+parts[3])
	var chunks [][]byte
	for chunk := range slices.Chunk(stream, 50000) {
		chunks = append(chunks, chunk)
	}
	c, s := newScripted(Client, Limits{}, chunks...)
	got := 0
	c.SetHandler(Messages(func(_ *Conn, _ Opcode, msg []byte) {
		if got++; string(msg) != strings.Join(parts, "") {
			t.Errorf("%d bytes, wrong", len(msg))
		}
	}, nil))
	s.play()
	if got != 1 {
		t.Errorf("%d messages", got)
	}
}

func TestMessagesDropsIncompleteMessages(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "text+ cut"), frames(Client, "ping "))
	s.err = io.EOF
	var closed error
	c.SetHandler(Messages(func(_ *Conn, _ Opcode, msg []byte) { t.Errorf("%q", msg) }, func(_ *Conn, err error) { closed = err }))
	s.play()
	if !errors.Is(closed, io.ErrUnexpectedEOF) || c.receive.msgBuf != nil {
		t.Errorf("%v, gathered %v", closed, c.receive.msgBuf)
	}
}

// Appending to a payload must not overwrite the frame after it.
func TestAppendingToAPayloadDoesNotChangeTheNext(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		stream := frames(role, "text a; text+ b; cont c; text d; ping e; text f")
		c, s := newScripted(role, Limits{}, stream)
		r := &recorder{onData: func(_ *Conn, _ Header, payload []byte) { _ = append(payload, "overwritten"...) }}
		c.SetHandler(r)
		s.play()
		if got, want := strings.Join(r.events, "; "), "text a; text+ b; continuation c; text d; text f"; got != want {
			t.Errorf("%v: %q, want %q", role, got, want)
		}
		d := engine.NewDecoder(role, engine.Limits{})
		var got []string
		for src := frames(role, "text a; text+ b; cont c; ping e; text f"); ; {
			e, n, err := d.Next(src)
			if err != nil {
				t.Fatal(err)
			}
			if src = src[n:]; e.Kind == engine.EventNone {
				break
			}
			got = append(got, string(e.Payload))
			_ = append(e.Payload, "overwritten"...)
		}
		if got := strings.Join(got, ""); got != "abcef" {
			t.Errorf("%v: decoded %q", role, got)
		}
	}
}
