package websock

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed004e8d11/websock/internal/race"
)

func prepared(t testing.TB, op Opcode, payload string) *PreparedMessage {
	t.Helper()
	pm, err := NewPreparedMessage(op, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return pm
}

// One message is sent on connections with different settings, between other messages, and is
// received the same on each.
func TestAPreparedMessageArrivesOverEveryConnection(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	sizes := []int{0, 1, 60, 125, 126, 1000, 65535, 65536, pieceSize + 1, 300000}
	if race.Enabled { // which makes one goroutine slow, for nothing
		sizes = sizes[:6]
	}
	for _, size := range sizes {
		text := string(document(r, size))
		pm := prepared(t, OpText, text)
		all := settings()
		all["off"] = Compression{}
		all["larger threshold"] = Compression{Level: 1, Threshold: 1 << 20}
		for name, z := range all {
			for _, role := range []Role{Client, Server} {
				var want []string
				stream := sentBy(t, role, z, func(c *Conn) {
					for i := range 3 {
						own := fmt.Sprint(i, text)
						want = append(want, text, own)
						send := c.SendPrepared
						if i == 1 {
							send = c.TrySendPrepared
						}
						if err := send(pm); err != nil {
							t.Fatal(err)
						}
						if err := c.SendText([]byte(own)); err != nil {
							t.Fatal(err)
						}
					}
					stats := c.Stats()
					if stats.MessagesSent != 6 || stats.PayloadSent != uint64(len(strings.Join(want, ""))) || stats.WireSent != uint64(len(c.batch.t.(*scriptTransport).out)) {
						t.Errorf("%+v", stats)
					}
				})
				if got := receivedBy(t, Client+Server-role, z, stream); !slices.Equal(got, want) {
					t.Errorf("%d bytes, %s, %v: %d messages came back, or others", size, name, role, len(got))
				}
			}
		}
	}
}

func TestAPreparedMessageIsCompressedOnceForEachSetting(t *testing.T) {
	pm := prepared(t, OpText, strings.Repeat("news ", 1000))
	for range 3 {
		for level := 1; level <= 3; level++ {
			for _, takeover := range []bool{false, true} {
				for _, role := range []Role{Client, Server} {
					sentBy(t, role, Compression{Level: level, SendTakeover: takeover}, func(c *Conn) {
						if err := c.SendPrepared(pm); err != nil {
							t.Fatal(err)
						}
					})
				}
			}
		}
	}
	compressed := 0
	for v := pm.deflated.Load(); v != nil; v = v.next {
		compressed++
	}
	if compressed != 3 {
		t.Errorf("compressed %d times for 3 levels", compressed)
	}
}

// A prepared message keeps no memory of the caller's, and no send changes it.
func TestAPreparedMessageIsNeverChanged(t *testing.T) {
	p := []byte("hello, hello, hello, hello, hello, hello")
	pm, err := NewPreparedMessage(OpBinary, p)
	if err != nil {
		t.Fatal(err)
	}
	want := string(p)
	clear(p)
	for range 2 {
		for _, role := range []Role{Client, Server} {
			for _, z := range []Compression{{}, takeover} {
				got := receivedBy(t, Client+Server-role, z, sentBy(t, role, z, func(c *Conn) { c.SendPrepared(pm) }))
				if len(got) != 1 || got[0] != want || string(pm.Payload()) != want || pm.Opcode() != OpBinary {
					t.Errorf("%v: %q, prepared %q", role, got, pm.Payload())
				}
			}
		}
	}
}

func TestManyGoroutinesSendOnePreparedMessage(t *testing.T) {
	text := strings.Repeat("news ", 500)
	pm := prepared(t, OpText, text)
	var running sync.WaitGroup
	for i := range 8 {
		z := Compression{Level: i%3 + 1, SendTakeover: i%2 == 0, RecvTakeover: i%2 == 0}
		role := Role(i / 4)
		c, s := newCompressing(role, z, Limits{})
		for range 2 { // two of each connection
			running.Go(func() {
				for range 20 {
					if err := c.SendPrepared(pm); err != nil {
						t.Error(err)
					}
				}
			})
		}
		defer func() {
			got := receivedBy(t, Client+Server-role, z, s.out)
			if len(got) != 40 || slices.ContainsFunc(got, func(m string) bool { return m != text }) {
				t.Errorf("connection %d: %d messages, or others", i, len(got))
			}
		}()
	}
	running.Wait()
}

func TestInvalidPreparedMessagesAreRefused(t *testing.T) {
	for _, op := range []Opcode{OpNone, OpContinuation, OpPing, OpPong, OpClose} {
		if _, err := NewPreparedMessage(op, nil); err != ErrFrameOrder {
			t.Errorf("%v: %v", op, err)
		}
	}
	if _, err := NewPreparedMessage(OpText, []byte("\xff")); err != ErrInvalidUTF8 {
		t.Error(err)
	}
	c := NewConn(&scriptTransport{}, Client, Options{})
	pm := prepared(t, OpText, "x")
	c.SendFrame(OpText, false, nil)
	for name, send := range map[string]func(*PreparedMessage) error{"SendPrepared": c.SendPrepared, "TrySendPrepared": c.TrySendPrepared} {
		if err := send(&PreparedMessage{}); err != ErrFrameOrder {
			t.Errorf("%s of one that was not prepared: %v", name, err)
		}
		if err := send(pm); err != ErrFrameOrder {
			t.Errorf("%s inside of a fragmented message: %v", name, err)
		}
	}
	c.Close()
	for name, send := range map[string]func(*PreparedMessage) error{"SendPrepared": c.SendPrepared, "TrySendPrepared": c.TrySendPrepared} {
		if err := send(pm); !isClosed(err) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

func TestACompressedPreparedMessageIsSentWithoutAllocating(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	pm := prepared(t, OpText, string(document(rand.New(rand.NewPCG(1, 1)), 5000)))
	for name, z := range settings() {
		for _, role := range []Role{Client, Server} {
			c := NewConn(&endlessTransport{}, role, Options{Compression: z})
			for range 50 { // until the history has its size
				c.SendPrepared(pm)
			}
			if n := testing.AllocsPerRun(100, func() { c.SendPrepared(pm) }); n != 0 {
				t.Errorf("%s, %v: %v allocations", name, role, n)
			}
		}
	}
}
