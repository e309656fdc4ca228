package websock

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

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

func TestRecvMessageGoesOnAfterATimeout(t *testing.T) {
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

func TestNextReaderReadsMessageByMessage(t *testing.T) {
	stream := frames(Client, "text+ Hel; ping ; cont+ ; cont lo; bin ; bin skipped; text+ half; cont skipped; bin end; close ")
	for _, chunks := range [][][]byte{{stream}, everyByte(stream)} {
		c, _ := newScripted(Client, Limits{}, chunks...)
		for i, want := range []struct {
			op   Opcode
			read int // bytes read before the next NextReader; -1: all
			msg  string
		}{{OpText, -1, "Hello"}, {OpBinary, -1, ""}, {OpBinary, 0, ""}, {OpText, 4, "half"}, {OpBinary, -1, "end"}} {
			op, r, err := c.NextReader()
			if op != want.op || err != nil {
				t.Fatalf("message %d: %v, %v", i, op, err)
			}
			if want.read >= 0 {
				r = io.LimitReader(r, int64(want.read))
			}
			if msg, err := io.ReadAll(r); string(msg) != want.msg || err != nil {
				t.Fatalf("message %d: %q, %v", i, msg, err)
			}
		}
		if _, _, err := c.NextReader(); !errors.As(err, new(*CloseError)) {
			t.Errorf("at the end: %v", err)
		}
	}
}

func TestNextReaderGoesOnAfterATimeout(t *testing.T) {
	stream := frames(Client, "text Hello")
	c, _ := newScripted(Client, Limits{}, nil, stream[:4], nil, stream[4:])
	if _, _, err := c.NextReader(); err != ErrTimeout {
		t.Fatal(err)
	}
	_, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	first, err := io.ReadAll(r)
	if string(first) != "He" || err != ErrTimeout {
		t.Fatalf("%q, %v", first, err)
	}
	if rest, err := io.ReadAll(r); string(rest) != "llo" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestNextReaderTellsHowTheConnectionEnded(t *testing.T) {
	for _, stream := range []string{"text+ cut off", "text cut off; text+ skipped"} {
		c, _ := newScripted(Client, Limits{}, frames(Client, stream))
		for err := error(nil); err == nil; {
			_, _, err = c.NextReader()
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: %v", stream, err)
			}
		}
		if _, _, err := c.NextReader(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q, again: %v", stream, err)
		}
	}
}

func TestReadingNothingFromAMessageTakesNothing(t *testing.T) {
	c, _ := newScripted(Client, Limits{}, frames(Client, "text Hello"))
	_, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if msg, err := io.ReadAll(r); string(msg) != "Hello" || err != nil {
		t.Errorf("%q, %v", msg, err)
	}
}

func TestNetConnIsAStreamOfBytes(t *testing.T) {
	c, _ := newScripted(Client, Limits{}, frames(Client, "bin+ ab; cont c; text ; bin def; close "+closePayload(1001, "")))
	stream := c.NetConn(OpBinary)
	if n, err := stream.Read(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	if got, err := io.ReadAll(stream); string(got) != "abcdef" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if stream.LocalAddr().String() != "local" || stream.RemoteAddr().String() != "remote" {
		t.Error("addresses")
	}
	c, s := newScripted(Client, Limits{})
	stream = c.NetConn(OpText)
	for _, p := range []string{"one", "", "two"} {
		if n, err := io.WriteString(stream, p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	if got := unframe(Client, s.out); !strings.HasPrefix(got, "text one; text two; close ") {
		t.Errorf("sent %q", got)
	}
	if _, err := stream.Write(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	if _, err := c.NetConn(OpPing).Write(nil); err != ErrFrameOrder {
		t.Errorf("stream of pings: %v", err)
	}
}

func TestNetConnErrorsAreThoseOfTheConnection(t *testing.T) {
	c, s := newScripted(Client, Limits{}, nil, frames(Client, "close "+closePayload(4000, "")))
	stream := c.NetConn(OpBinary)
	buf := make([]byte, 1)
	if _, err := stream.Read(buf); err != ErrTimeout {
		t.Errorf("%v, want ErrTimeout", err)
	}
	deadline := time.Now().Add(time.Hour)
	if err := stream.SetReadDeadline(deadline); err != nil || !s.readDeadline.Equal(deadline) {
		t.Errorf("SetReadDeadline: %v, the transport has %v", err, s.readDeadline)
	}
	var closed *CloseError
	if _, err := stream.Read(buf); !errors.As(err, &closed) || closed.Code != 4000 {
		t.Errorf("%v, want close code 4000", err)
	}
}

// A deadline that has passed sends and takes nothing, and nothing is lost by it.
func TestNetConnGoesOnAfterADeadline(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "bin a; bin b"))
	stream := c.NetConn(OpBinary)
	buf := make([]byte, 1)
	if n, err := stream.Read(buf); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if err := stream.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Error(err)
	}
	if n, err := stream.Write(buf); n != 0 || err != ErrTimeout || len(s.out) > 0 {
		t.Errorf("Write: %d, %v", n, err)
	}
	if n, err := stream.Read(buf); n != 0 || err != ErrTimeout {
		t.Errorf("Read: %d, %v", n, err)
	}
	if err := stream.SetDeadline(time.Time{}); err != nil {
		t.Error(err)
	}
	if n, err := stream.Read(buf); n != 1 || buf[0] != 'b' || err != nil {
		t.Errorf("Read without the deadline: %d, %v", n, err)
	}
	if n, err := stream.Write(buf); n != 1 || err != nil || unframe(Client, s.out) != "bin b" {
		t.Errorf("Write without the deadline: %d, %v, %x", n, err, s.out)
	}
}

// The write deadline of a stream holds whatever Limits.WhenFull says.
func TestTheWriteDeadlineOfANetConnHoldsUnderQueueRefuses(t *testing.T) {
	t.Run("passed", func(t *testing.T) {
		c, d := opened(Client, Limits{WhenFull: QueueRefuses})
		stream := c.NetConn(OpBinary)
		stream.SetWriteDeadline(time.Now().Add(-time.Second))
		if n, err := stream.Write([]byte("late")); n != 0 || err != ErrTimeout || d.Queued() > 0 {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("passes", func(t *testing.T) {
		c := NewConn(newStuckTransport(t, 5), Client, Options{Limits: Limits{WhenFull: QueueRefuses, SendQueue: 100}})
		stream := c.NetConn(OpBinary)
		stream.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		wrote := make(chan error, 1)
		go func() {
			for {
				if _, err := stream.Write(make([]byte, 50)); err != nil {
					wrote <- err
					return
				}
			}
		}()
		select {
		case err := <-wrote:
			if err != ErrTimeout {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Write waits beyond its deadline")
		}
		c.Abort(nil)
	})
}
