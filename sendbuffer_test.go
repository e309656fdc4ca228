package websock

import (
	"bytes"
	"strings"
	"sync"
	"testing"
)

func TestReserveReturnsMemoryForAFrame(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		for _, n := range []int{0, 5, 200, 70000} {
			for _, corked := range []bool{false, true} {
				c, s := newScripted(role, Limits{SendQueue: 1 << 20})
				sb, err := c.Reserve(n + 10)
				if err != nil || len(sb.Bytes()) != n+10 {
					t.Fatal(len(sb.Bytes()), err)
				}
				want := strings.Repeat("r", n)
				copy(sb.Bytes(), want)
				if corked {
					c.Cork()
				}
				if err := sb.SendText(n); err != nil {
					t.Fatal(err)
				}
				if sb.Bytes() != nil || sb.SendText(0) != ErrSendBuffer {
					t.Error("the buffer can be used again")
				}
				if corked && len(s.out) > 0 {
					t.Error("sent in spite of Cork")
				}
				if err := c.Flush(); err != nil {
					t.Fatal(err)
				}
				if got := unframe(role, s.out); got != strings.TrimSuffix("text "+want, " ") {
					t.Errorf("%v, %d bytes: sent %.100q", role, n, got)
				}
			}
		}
	}
}

func TestAFailedSendInvalidatesTheSendBuffer(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	for _, send := range []func(sb *SendBuffer) error{
		func(sb *SendBuffer) error { return sb.SendBinary(4) },
		func(sb *SendBuffer) error { return sb.SendBinary(-1) },
		func(sb *SendBuffer) error { return sb.SendFrame(OpContinuation, true, 1) },
		func(sb *SendBuffer) error { copy(sb.Bytes(), "\xff"); return sb.SendText(1) },
	} {
		sb, err := c.Reserve(3)
		if err != nil {
			t.Fatal(err)
		}
		if send(&sb) == nil || sb.Bytes() != nil {
			t.Error("no error, or not used up")
		}
		sb.Release()
	}
	if len(s.out) > 0 {
		t.Errorf("%x was sent", s.out)
	}
}

// The first use of one copy of a SendBuffer invalidates all.
func TestCopiesOfASendBufferAreInvalidatedTogether(t *testing.T) {
	for name, use := range map[string]func(sb *SendBuffer){
		"sent":             func(sb *SendBuffer) { sb.SendBinary(3) },
		"failed to send":   func(sb *SendBuffer) { sb.SendBinary(4) },
		"released":         func(sb *SendBuffer) { sb.Release() },
		"sent by the copy": func(sb *SendBuffer) { again := *sb; again.SendBinary(1) },
	} {
		c, s := newScripted(Client, Limits{})
		sb, _ := c.Reserve(3)
		kept := sb
		use(&sb)
		was := len(s.out)
		other, _ := NewConn(&scriptTransport{}, Client, Options{}).Reserve(3) // may get the same memory
		copy(other.Bytes(), "abc")
		if kept.Bytes() != nil {
			t.Errorf("%s: a copy still shows the memory", name)
		}
		kept.Release()
		if err := kept.SendBinary(1); err != ErrSendBuffer || len(s.out) != was {
			t.Errorf("%s: a copy sends: %v", name, err)
		}
		if string(other.Bytes()) != "abc" {
			t.Errorf("%s: another's memory is %q", name, other.Bytes())
		}
		another, _ := c.Reserve(3)
		if &another.Bytes()[0] == &other.Bytes()[0] {
			t.Errorf("%s: two have the same memory", name)
		}
	}
}

func TestCopiesOfASendBufferInManyGoroutines(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	for range 200 {
		sb, err := c.Reserve(1)
		if err != nil {
			t.Fatal(err)
		}
		sb.Bytes()[0] = 'x'
		var running sync.WaitGroup
		var mu sync.Mutex
		sent := 0
		for range 4 {
			kept := sb
			running.Go(func() {
				if kept.SendBinary(1) == nil {
					mu.Lock()
					sent++
					mu.Unlock()
				}
			})
		}
		running.Wait()
		if sent != 1 {
			t.Fatalf("sent %d times", sent)
		}
	}
	if got, want := unframe(Client, s.out), strings.TrimSuffix(strings.Repeat("bin x; ", 200), "; "); got != want {
		t.Errorf("sent %.100q", got)
	}
}

func TestReservedMemoryIsZero(t *testing.T) {
	for _, n := range []int{1, 100, 5000, 100000, 5 << 20} {
		c, _ := newScripted(Client, Limits{})
		for range 5 {
			sb, err := c.Reserve(n)
			if err != nil {
				t.Fatal(err)
			}
			if b := sb.Bytes(); len(b) != n || cap(b) != n || len(bytes.Trim(b, "\x00")) > 0 {
				t.Fatalf("%d bytes lent with room for %d, %.20q", len(b), cap(b), bytes.Trim(b, "\x00"))
			}
			copy(sb.Bytes(), bytes.Repeat([]byte("s"), n))
			sb.SendBinary(n)
		}
	}
}
