package websock

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/frametest"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport"
)

// recvAll receives with a buffer of the given size until an error that isn't a timeout, and returns
// the payload of each frame.
func recvAll(c *Conn, size int) (events []string, err error) {
	buf := make([]byte, size)
	var payload []byte
	for {
		h, n, err := c.RecvTimeout(buf, time.Millisecond)
		payload = append(payload, buf[:n]...)
		switch {
		case errors.Is(err, ErrTimeout):
		case err != nil:
			return events, err
		case h.Opcode == OpNone:
			if n != 0 {
				return events, fmt.Errorf("%d bytes without a header", n)
			}
		case h.Remaining == 0:
			if int64(len(payload)) != h.Length {
				return events, fmt.Errorf("%d bytes of a frame of %d", len(payload), h.Length)
			}
			more := ""
			if !h.Fin {
				more = "+"
			}
			events = append(events, fmt.Sprintf("%v%s %s", h.Opcode, more, payload))
			payload = payload[:0]
		}
	}
}

// withoutControl removes the control frames, which Recv handles itself.
func withoutControl(events string) string {
	var data []string
	for e := range strings.SplitSeq(events, "; ") {
		if !strings.HasPrefix(e, "ping") && !strings.HasPrefix(e, "pong") && !strings.HasPrefix(e, "close") {
			data = append(data, e)
		}
	}
	return strings.Join(data, "; ")
}

func TestRecvReturnsTheSameFramesHoweverTheStreamIsSplit(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		for _, test := range frametest.Streams {
			t.Run(role.String()+"/"+test.Name, func(t *testing.T) {
				stream := frames(role, test.Frames)
				cuts := map[string][][]byte{
					"whole":      {clone(stream)},
					"every byte": everyByte(clone(stream)),
					"timeout before every byte": func() (chunks [][]byte) {
						for _, b := range everyByte(clone(stream)) {
							chunks = append(chunks, nil, b)
						}
						return chunks
					}(),
				}
				for cut, chunks := range cuts {
					for _, size := range []int{1, 2, 7, 4096, 70000} {
						if len(stream) > 1000 && size < 7 {
							continue // slow, and like the short ones
						}
						chunks := chunks
						if role == Server {
							chunks = cloneAll(chunks)
						}
						c, _ := newScripted(role, Limits{}, chunks...)
						events, err := recvAll(c, size)
						if got := strings.Join(events, "; "); got != withoutControl(test.Want) {
							t.Fatalf("%s, buffer of %d: %.200q; want %.200q", cut, size, got, test.Want)
						}
						if test.Rule != "" && !frametest.Broke(err, test.Rule) {
							t.Fatalf("%s, buffer of %d: %v; want %v", cut, size, err, test.Rule)
						}
					}
				}
			})
		}
	}
}

func cloneAll(chunks [][]byte) [][]byte {
	var copies [][]byte
	for _, c := range chunks {
		copies = append(copies, clone(c))
	}
	return copies
}

func TestRecvSaysThatTheHeaderIsIncomplete(t *testing.T) {
	stream := frame(Client, OpBinary, true, strings.Repeat("x", 200))
	c, _ := newScripted(Client, Limits{}, stream[:1], stream[1:3], stream[3:4], stream[4:])
	buf := make([]byte, 300)
	for i := range 2 {
		if h, n, err := c.Recv(buf); h.Opcode != OpNone || n != 0 || err != nil {
			t.Fatalf("part %d of the header: %+v, %d, %v", i, h, n, err)
		}
	}
	if h, n, err := c.Recv(buf); h.Opcode != OpBinary || h.Length != 200 || h.Remaining != 200 || n != 0 || err != nil {
		t.Fatalf("header complete: %+v, %d, %v", h, n, err)
	}
	if h, n, err := c.Recv(buf); !h.Fin || h.Remaining != 0 || n != 200 || err != nil {
		t.Fatalf("payload: %+v, %d, %v", h, n, err)
	}
}

func TestRecvTimeoutReturnsTheCurrentHeader(t *testing.T) {
	stream := frame(Client, OpText, true, "Hello")
	c, s := newScripted(Client, Limits{}, nil, stream[:4], nil, stream[4:])
	buf := make([]byte, 10)
	if h, n, err := c.RecvTimeout(buf, time.Second); h.Opcode != OpNone || n != 0 || err != ErrTimeout {
		t.Fatalf("before the header: %+v, %d, %v", h, n, err)
	}
	if s.readDeadline.IsZero() {
		t.Error("no deadline was set")
	}
	if h, n, err := c.RecvTimeout(buf, time.Second); h.Remaining != 3 || n != 2 || err != nil {
		t.Fatalf("first bytes: %+v, %d, %v", h, n, err)
	}
	if h, n, err := c.Recv(buf); h.Opcode != OpText || h.Remaining != 3 || n != 0 || err != ErrTimeout {
		t.Fatalf("within the payload: %+v, %d, %v", h, n, err)
	}
	if !s.readDeadline.IsZero() {
		t.Error("Recv keeps the deadline of RecvTimeout")
	}
	if h, n, err := c.Recv(buf); h.Remaining != 0 || n != 3 || err != nil {
		t.Fatalf("the rest: %+v, %d, %v", h, n, err)
	}
}

func TestErrTimeoutIsANetErrorAndErrDeadlineExceeded(t *testing.T) {
	var timeout net.Error
	if !errors.Is(ErrTimeout, os.ErrDeadlineExceeded) || !errors.As(ErrTimeout, &timeout) || !timeout.Timeout() {
		t.Error("ErrTimeout is none")
	}
}

func TestControlFramesDoNotProlongATimeout(t *testing.T) {
	flood := func() (chunks [][]byte) {
		for range 1000 {
			chunks = append(chunks, frames(Client, "ping x"))
		}
		return chunks
	}
	c, s := newScripted(Client, Limits{}, flood()...)
	if _, _, err := c.RecvTimeout(nil, 0); err != ErrTimeout || len(s.chunks) != 999 {
		t.Errorf("%v with %d of 1000 pings left", err, len(s.chunks))
	}
	c.SetRecvDeadline(time.Now())
	if _, _, err := c.Recv(nil); err != ErrTimeout || len(s.chunks) != 998 {
		t.Errorf("%v with %d of 1000 pings left", err, len(s.chunks))
	}
}

func TestBufferedControlFramesDoNotProlongATimeout(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "text a; ping x"), nil)
	buf := make([]byte, 1)
	c.Recv(buf)
	if _, _, err := c.RecvTimeout(buf, time.Minute); err != ErrTimeout || s.readDeadline.IsZero() {
		t.Errorf("%v, deadline %v", err, s.readDeadline)
	}
}

func TestAnEarlierRecvDeadlineEndsRecvTimeout(t *testing.T) {
	c, s := newScripted(Client, Limits{}, nil, nil)
	soon := time.Now().Add(time.Millisecond).Round(0)
	c.SetRecvDeadline(soon)
	c.RecvTimeout(nil, time.Hour)
	if !s.readDeadline.Equal(soon) {
		t.Errorf("deadline %v, want %v", s.readDeadline, soon)
	}
	c.Recv(nil)
	if !s.readDeadline.Equal(soon) {
		t.Errorf("afterwards: deadline %v, want %v", s.readDeadline, soon)
	}
}

func TestRecvReadsLargePayloadStraightIntoTheBuffer(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		want := strings.Repeat("0123456789abcdef", 4096)
		stream := frame(role, OpBinary, true, want)
		c, s := newScripted(role, Limits{}, stream[:100], stream[100:])
		buf := make([]byte, len(want))
		_, first, err := c.Recv(buf)
		if err != nil {
			t.Fatal(err)
		}
		h, n, err := c.Recv(buf[first:])
		if err != nil || first+n != len(want) || h.Remaining != 0 {
			t.Fatalf("%+v, %d+%d, %v", h, first, n, err)
		}
		if string(buf) != want {
			t.Errorf("%v: payload differs", role)
		}
		if s.consumed != 100 {
			t.Errorf("%v: %d bytes went through the view, want 100", role, s.consumed)
		}
	}
}

func TestRecvWithoutABufferReturnsTheHeader(t *testing.T) {
	c, _ := newScripted(Client, Limits{}, frames(Client, "text Hello; bin "))
	for range 2 {
		if h, n, err := c.Recv(nil); h.Opcode != OpText || h.Remaining != 5 || n != 0 || err != nil {
			t.Fatalf("%+v, %d, %v", h, n, err)
		}
	}
	c.Recv(make([]byte, 5))
	if h, _, err := c.Recv(nil); h.Opcode != OpBinary || h.Remaining != 0 || !h.Fin || err != nil {
		t.Fatalf("%+v, %v", h, err)
	}
	c, s := newScripted(Client, Limits{}, frames(Client, "text Hello")[:2])
	for range 2 { // it doesn't wait for payload that it has no room for
		if h, n, err := c.Recv(nil); h.Remaining != 5 || n != 0 || err != nil || s.reads != 1 {
			t.Errorf("%+v, %d, %v after %d reads", h, n, err, s.reads)
		}
	}
}

func TestRecvReturnsHowTheStreamEnded(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	tests := []struct {
		name   string
		stream []byte
		err    error
		want   CloseError
		cause  error
	}{
		{"at a frame's border", frames(Client, "text Hello"), nil, CloseError{Code: CloseAbnormal}, io.ErrUnexpectedEOF},
		{"within a header", []byte{0x81}, nil, CloseError{Code: CloseAbnormal}, io.ErrUnexpectedEOF},
		{"within payload", frames(Client, "text Hello")[:4], nil, CloseError{Code: CloseAbnormal}, io.ErrUnexpectedEOF},
		{"reset", nil, reset, CloseError{Code: CloseAbnormal}, syscall.ECONNRESET},
		{"close frame", frames(Client, "close "+closePayload(4001, "bye")), nil, CloseError{Code: 4001, Reason: "bye"}, nil},
		{"empty close frame", frames(Client, "close "), nil, CloseError{Code: CloseNoStatus}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, s := newScripted(Client, Limits{}, test.stream)
			if len(test.stream) == 0 {
				s.chunks = nil
			}
			s.err = test.err
			_, err := recvAll(c, 100)
			var closed *CloseError
			if !errors.As(err, &closed) || closed.Code != test.want.Code || closed.Reason != test.want.Reason {
				t.Fatalf("%v, want %v", err, &test.want)
			}
			if test.cause != nil && !errors.Is(err, test.cause) {
				t.Errorf("%v: the cause %v is lost", err, test.cause)
			}
			if _, _, again := c.Recv(nil); again != err {
				t.Errorf("the next receive returns %v, want %v", again, err)
			}
			if err := c.SendText(nil); !errors.As(err, &closed) {
				t.Errorf("a send returns %v", err)
			}
			if err := c.Close(); err != nil || !(s.closed || s.lingered) {
				t.Errorf("Close: %v; closed %v, lingered %v", err, s.closed, s.lingered)
			}
		})
	}
}

func TestRecvTimeoutFailsIfTheDeadlineCannotBeSet(t *testing.T) {
	large := frame(Client, OpBinary, true, strings.Repeat("x", directSize+1))
	for _, before := range []int{0, 1} { // bytes of a frame that is large enough to be read directly
		u := &noDeadlineTransport{}
		c := NewConn(u, Client, Options{})
		if before > 0 {
			u.chunks = [][]byte{large[:len(large)-directSize]}
			if _, n, err := c.Recv(make([]byte, 1)); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if _, _, err := c.RecvTimeout(make([]byte, directSize), time.Second); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

func TestPayloadReadDirectlyIsValidated(t *testing.T) {
	text := frame(Client, OpText, true, "x"+strings.Repeat("\xff", directSize))
	c, s := newScripted(Client, Limits{}, text[:len(text)-directSize], text[len(text)-directSize:])
	buf := make([]byte, directSize)
	if _, n, err := c.Recv(buf[:1]); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, n, err := c.Recv(buf); n != 0 || err != errNotUTF8 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if got := unframe(Client, s.out); !strings.HasPrefix(got, "close "+closePayload(CloseInvalidPayload, "")) {
		t.Errorf("sent %q", got)
	}
}

func TestThePeerIsSentTheReasonOfItsProtocolError(t *testing.T) {
	tests := []struct {
		name   string
		limits Limits
		stream string
		code   CloseCode
		reason string
	}{
		{"protocol", Limits{}, "cont x", CloseProtocolError, errNothingToContinue.Rule},
		{"UTF-8", Limits{}, "text \xff", CloseInvalidPayload, errNotUTF8.Rule},
		{"size", Limits{MessageSize: 4}, "bin 12345", CloseMessageTooBig, "limit MessageSize exceeded"},
		{"count", Limits{Fragments: 1}, "bin+ 1; cont 2", ClosePolicyViolation, "limit Fragments exceeded"},
	}
	for _, role := range []Role{Client, Server} {
		for _, test := range tests {
			t.Run(role.String()+"/"+test.name, func(t *testing.T) {
				c, s := newScripted(role, test.limits, frames(role, test.stream))
				_, err := recvAll(c, 100)
				want := "close " + closePayload(test.code, test.reason)
				if got := unframe(role, s.out); got != want {
					t.Errorf("sent %q, want %q", got, want)
				}
				if sendErr := c.SendText(nil); !errors.Is(sendErr, err) {
					t.Errorf("a send returns %v, want the cause %v", sendErr, err)
				}
				if err := c.Close(); err != nil || !s.lingered {
					t.Errorf("Close: %v; lingered %v", err, s.lingered)
				}
				if got := unframe(role, s.out); got != want {
					t.Errorf("after Close: sent %q, want %q", got, want)
				}
			})
		}
	}
}

func TestRecvAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	for _, role := range []Role{Client, Server} {
		for _, size := range []int{16, 125, 4096, 65536} {
			t.Run(fmt.Sprintf("%v/%d", role, size), func(t *testing.T) {
				stream := frame(role, OpText, true, strings.Repeat("x", size))
				in := clone(stream)
				s := &scriptTransport{}
				c := NewConn(s, role, Options{})
				buf := make([]byte, size)
				chunks := make([][]byte, 1)
				allocs := testing.AllocsPerRun(100, func() {
					copy(in, stream)
					chunks[0] = in
					s.chunks = chunks
					if _, msg, err := c.RecvMessage(buf[:0]); len(msg) != size || err != nil {
						t.Fatal(len(msg), err)
					}
				})
				if allocs != 0 {
					t.Errorf("%v allocations, want 0", allocs)
				}
			})
		}
	}
}

func BenchmarkRecv(b *testing.B) {
	for _, role := range []Role{Client, Server} {
		for _, size := range []int{16, 125, 512, 4096, 65536} {
			b.Run(fmt.Sprintf("%v/%d", role, size), func(b *testing.B) {
				stream := []byte(strings.Repeat(string(frame(role, OpBinary, true, strings.Repeat("x", size))), 1+16000/size))
				c := NewConn(&endlessTransport{stream: stream}, role, Options{})
				buf := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if h, _, err := c.Recv(buf); h.Remaining != 0 || err != nil {
						b.Fatal(h, err)
					}
				}
			})
		}
	}
}

func TestReceivingContinuesAfterAFailedQueuedWrite(t *testing.T) {
	broken := errors.New("broken on purpose")
	if err := (&transport.SendError{Err: broken}); !errors.Is(err, broken) || !strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("%v", err)
	}
	for _, payload := range []string{"there", strings.Repeat("large", 2000)} {
		h := engine.AppendHeader(nil, Header{Fin: true, Opcode: OpText, Length: int64(len(payload))})
		q := &fixedQueueTransport{scriptTransport: &scriptTransport{chunks: [][]byte{h, []byte(payload)}}, failure: broken}
		c := NewConn(q, Client, Options{})
		buf := make([]byte, 1<<14)
		if h, n, err := c.Recv(buf[:0]); n != 0 || err != nil || h.Remaining != int64(len(payload)) {
			t.Fatalf("%+v %d %v", h, n, err)
		}
		q.failure = broken
		if _, n, err := c.Recv(buf); string(buf[:n]) != payload || err != nil {
			t.Errorf("received %d bytes of %d, %v", n, len(payload), err)
		}
		var closed *CloseError
		if err := c.SendText(nil); !errors.As(err, &closed) || !errors.Is(err, broken) {
			t.Errorf("a send afterwards: %v", err)
		}
	}
}

func TestRecvMessageAppendsWholeMessages(t *testing.T) {
	long := strings.Repeat("0123456789", 10000)
	stream := frames(Client, "text Hello; bin+ a; cont+ ; ping ; cont b; text ; bin "+long+"; bin+ x; cont "+long)
	want := []struct {
		op  Opcode
		msg string
	}{{OpText, "Hello"}, {OpBinary, "ab"}, {OpText, ""}, {OpBinary, long}, {OpBinary, "x" + long}}
	for _, chunks := range [][][]byte{{stream}, everyByte(stream)} {
		for _, room := range []int{0, 1, 5, 6, 600, 200000} {
			c, _ := newScripted(Client, Limits{}, chunks...)
			for i, w := range want {
				dst := append(make([]byte, 0, room+2), "> "...)
				op, msg, err := c.RecvMessage(dst)
				if op != w.op || string(msg) != "> "+w.msg || err != nil {
					t.Fatalf("room for %d, message %d: %v %.50q (%d bytes), %v", room, i, op, msg, len(msg), err)
				}
			}
		}
	}
}

func TestRecvMessageContinuesAfterATimeout(t *testing.T) {
	stream := frames(Client, "text+ Hel; cont lo")
	for cut := 1; cut < len(stream); cut++ {
		c, _ := newScripted(Client, Limits{}, stream[:cut], nil, stream[cut:])
		_, msg, err := c.RecvMessage(nil)
		if err != ErrTimeout {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		op, msg, err := c.RecvMessage(msg)
		if op != OpText || string(msg) != "Hello" || err != nil {
			t.Fatalf("cut at %d: %v %q, %v", cut, op, msg, err)
		}
	}
}

func TestRecvMessageDoesNotAllocateWhatIsOnlyDeclared(t *testing.T) {
	c, _ := newScripted(Client, Limits{}, engine.AppendHeader(nil, Header{Fin: true, Opcode: OpBinary, Length: DefaultMessageSize}), []byte("x"))
	_, msg, err := c.RecvMessage(nil)
	if !errors.Is(err, io.ErrUnexpectedEOF) || cap(msg) > 2<<20 {
		t.Errorf("%v with %d bytes allocated", err, cap(msg))
	}
}

func TestReceivesAfterCloseOrAbortReturnACloseError(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"Close": func(c *Conn) { c.Close() },
		"Abort": func(c *Conn) { c.Abort(nil) },
	} {
		c, _ := newScripted(Client, Limits{}, frames(Client, "text a; text b; text c; bin "+strings.Repeat("d", 10000)))
		_, r, err := c.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		end(c)
		buf := make([]byte, 100)
		for call, receive := range map[string]func() (int, error){
			"Recv":        func() (int, error) { _, n, err := c.Recv(buf); return n, err },
			"RecvTimeout": func() (int, error) { _, n, err := c.RecvTimeout(buf, time.Second); return n, err },
			"RecvMessage": func() (int, error) { _, m, err := c.RecvMessage(buf[:0]); return len(m), err },
			"NextReader":  func() (int, error) { _, _, err := c.NextReader(); return 0, err },
			"Read":        func() (int, error) { return r.Read(buf) },
			"NetConn":     func() (int, error) { return c.NetConn(OpText).Read(buf) },
		} {
			n, err := receive()
			var closed *CloseError
			if n != 0 || !errors.As(err, &closed) || !closed.Local || !errors.Is(err, ErrClosed) {
				t.Errorf("%s after %s: %d bytes, %v", call, name, n, err)
			}
		}
	}
}

func TestAReceiveWithoutAHandlerKeepsNoMemoryOfReplies(t *testing.T) {
	for range 1000 { // under the race detector the pool drops some of what it is given
		used, reply := new(activeReceive), buffer.Get(16<<10)
		used.replies.Put(reply)
		activeReceives.Put(used)
		c, _ := newScripted(Client, Limits{}, frames(Client, "text a"))
		c.RecvMessage(nil)
		if c.receive.activeReceive != used {
			continue
		}
		kept := c.receive.replies.Get(1)
		if kept == reply {
			t.Errorf("%d bytes are kept", cap(kept.B))
		}
		kept.Put()
		return
	}
	t.Error("the pool never returned what it was given")
}
