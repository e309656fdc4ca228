package websock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/race"
)

// settings returns compression settings by name.
func settings() map[string]Compression {
	all := map[string]Compression{"default": DefaultCompression}
	for bits := 8; bits <= 15; bits++ {
		all[fmt.Sprint("takeover, ", bits)] = Compression{Level: 1, SendTakeover: true, RecvTakeover: true, SendWindowBits: bits, RecvWindowBits: bits}
		all[fmt.Sprint("no takeover, ", bits)] = Compression{Level: 1, SendWindowBits: bits, RecvWindowBits: bits}
	}
	for _, level := range []int{1, 2, 6, 9} {
		all[fmt.Sprint("level ", level)] = Compression{Level: level, SendTakeover: true, RecvTakeover: true}
	}
	return all
}

// newCompressing returns a Conn with compression that receives chunks.
func newCompressing(role Role, z Compression, limits Limits, chunks ...[]byte) (*Conn, *scriptTransport) {
	t := &scriptTransport{chunks: chunks}
	return NewConn(t, role, Options{Compression: z, Limits: limits}), t
}

// document returns about n bytes of JSON.
func document(r *rand.Rand, n int) []byte {
	words := strings.Fields("price size symbol side time buy sell € 日本 open closed")
	b := []byte("[")
	for len(b) < n {
		b = fmt.Appendf(b, `{"%s":%d,"%s":"%s"},`, words[r.IntN(len(words))], r.IntN(1e5), words[r.IntN(len(words))], words[r.IntN(len(words))])
	}
	return bytes.ToValidUTF8(b[:n], []byte("?"))
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// cutAtRandom splits a stream into chunks of random sizes.
func cutAtRandom(r *rand.Rand, stream []byte, most int) (chunks [][]byte) {
	for len(stream) > 0 {
		n := 1 + r.IntN(min(most, len(stream)))
		chunks = append(chunks, stream[:n:n])
		stream = stream[n:]
	}
	return chunks
}

// sentBy returns the bytes that a Conn in role writes during f.
func sentBy(t *testing.T, role Role, z Compression, f func(c *Conn)) []byte {
	t.Helper()
	c, s := newCompressing(role, z, Limits{})
	f(c)
	return s.out
}

func TestCompressedMessagesRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var messages [][]byte
	for _, size := range []int{0, 1, 20, 64, 100, 127, 128, 1000, 1000, 1000, 5000, 40000, 150000} {
		messages = append(messages, document(r, size), noise(r, size), make([]byte, size))
	}
	for name, z := range settings() {
		t.Run(name, func(t *testing.T) {
			for _, role := range []Role{Client, Server} {
				stream := sentBy(t, role, z, func(c *Conn) {
					for _, m := range messages {
						if err := c.SendBinary(m); err != nil {
							t.Fatal(err)
						}
					}
					stats := c.Stats()
					if stats.AfterDeflate >= stats.BeforeDeflate/2 {
						t.Errorf("compressed from %d to %d bytes", stats.BeforeDeflate, stats.AfterDeflate)
					}
				})
				peer := Client + Server - role
				c, _ := newCompressing(peer, z, Limits{}, cutAtRandom(r, stream, 3000)...)
				var got []byte
				for i, want := range messages {
					var err error
					if _, got, err = c.RecvMessage(got[:0]); err != nil || !bytes.Equal(got, want) {
						t.Fatalf("%v, message %d: %d bytes of %d, %v", peer, i, len(got), len(want), err)
					}
				}
				if _, _, err := c.RecvMessage(nil); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatal(err)
				}
			}
		})
	}
}

// headersOf returns what kinds of frames were sent: "text+ engine.RSV1 20", say, with their sizes.
func headersOf(t *testing.T, sent []byte) (kinds []string, sizes []int64) {
	t.Helper()
	for len(sent) > 0 {
		h, n, err := engine.ParseHeader(sent)
		if n == 0 || err != nil {
			t.Fatalf("%x: %v", sent, err)
		}
		kind := h.Opcode.String()
		if !h.Fin {
			kind += "+"
		}
		if h.Rsv != 0 {
			kind += fmt.Sprint(" rsv", h.Rsv)
		}
		kinds, sizes = append(kinds, kind), append(sizes, h.Length)
		sent = sent[n+int(h.Length):]
	}
	return kinds, sizes
}

// receivedBy returns the messages that a Conn in role receives from a stream.
func receivedBy(t *testing.T, role Role, z Compression, stream []byte) (messages []string) {
	t.Helper()
	c, s := newCompressing(role, z, Limits{}, clone(stream))
	messages, err := receivings()["RecvMessage"](c, s)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return messages
}

func TestEveryWayOfSendingCompresses(t *testing.T) {
	text := string(document(rand.New(rand.NewPCG(1, 1)), 50000))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name string
		send func(c *Conn)
		want string // the frames
	}{
		{"SendText", func(c *Conn) { must(c.SendText([]byte(text))) }, "text rsv4"},
		{"SendBinary", func(c *Conn) { must(c.SendBinary([]byte(text))) }, "binary rsv4"},
		{"SendFrame", func(c *Conn) {
			must(c.SendFrame(OpText, false, []byte(text[:20000])))
			must(c.SendPing([]byte("p")))
			must(c.SendFrame(OpContinuation, false, []byte(text[20000:20000])))
			must(c.SendFrame(OpContinuation, false, []byte(text[20000:])))
			must(c.SendFrame(OpContinuation, true, nil))
		}, "text+ rsv4, ping, continuation+, continuation+, continuation"},
		{"NextWriter", func(c *Conn) {
			w, err := c.NextWriter(OpText)
			must(err)
			for _, part := range []string{text[:10000], text[10000:30000], text[30000:]} {
				_, err = io.WriteString(w, part)
				must(err)
			}
			must(w.Close())
		}, "text+ rsv4, continuation+, continuation+, continuation"},
		{"Reserve", func(c *Conn) {
			b, err := c.Reserve(len(text))
			must(err)
			copy(b.Bytes(), text)
			must(b.SendText(len(text)))
		}, "text rsv4"},
		{"Cork", func(c *Conn) {
			c.Cork()
			must(c.SendText([]byte(text)))
			must(c.SendPing(nil))
			must(c.Flush())
		}, "text rsv4, ping"},
		{"NetConn", func(c *Conn) {
			_, err := io.WriteString(c.NetConn(OpText), text)
			must(err)
		}, "text rsv4"},
		{"TrySend", func(c *Conn) { must(c.TrySend(OpText, []byte(text))) }, "text rsv4"},
		{"SendContext", func(c *Conn) { must(c.SendContext(context.Background(), OpText, []byte(text))) }, "text rsv4"},
		{"SendPrepared", func(c *Conn) { must(c.SendPrepared(prepared(t, OpText, text))) }, "text rsv4"},
		{"TrySendPrepared", func(c *Conn) { must(c.TrySendPrepared(prepared(t, OpText, text))) }, "text rsv4"},
	} {
		for _, z := range []Compression{takeover, {Level: 6}, DefaultCompression} {
			for _, role := range []Role{Client, Server} {
				stream := sentBy(t, role, z, test.send)
				kinds, _ := headersOf(t, stream)
				if got := strings.Join(kinds, ", "); got != test.want {
					t.Errorf("%s, %v: %s; want %s", test.name, role, got, test.want)
				}
				if len(stream) > len(text)/2 {
					t.Errorf("%s: %d bytes for %d", test.name, len(stream), len(text))
				}
				if got := receivedBy(t, Client+Server-role, z, stream); len(got) != 1 || got[0] != text {
					t.Errorf("%s, %v: %d messages came back, or others", test.name, role, len(got))
				}
			}
		}
	}
}

func TestMessagesThatCompressionDoesNotShrinkAreSentUncompressed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	z := takeover
	z.Threshold = 10
	messages := []struct {
		payload    string
		compressed bool
	}{
		{"", false},
		{strings.Repeat("a", 9), false},
		{strings.Repeat("a", 10), true},
		{string(noise(r, 1000)), false},
		{string(noise(r, 200000)), false},
		{strings.Repeat("a", 200000), true},
		{"ab", false},
		{strings.Repeat("a", 100), true},
	}
	stream := sentBy(t, Client, z, func(c *Conn) {
		for _, m := range messages {
			if err := c.SendBinary([]byte(m.payload)); err != nil {
				t.Fatal(err)
			}
		}
	})
	kinds, sizes := headersOf(t, stream)
	for i, m := range messages {
		want := "binary"
		if m.compressed {
			want += " rsv4"
		}
		if kinds[i] != want || sizes[i] > int64(len(m.payload)) {
			t.Errorf("message %d of %d bytes: %s of %d bytes, want %s", i, len(m.payload), kinds[i], sizes[i], want)
		}
	}
	for i, got := range receivedBy(t, Server, z, stream) {
		if got != messages[i].payload {
			t.Errorf("message %d: %d bytes came back of %d", i, len(got), len(messages[i].payload))
		}
	}
}

func TestRefusedMessagesAreNotInTheHistory(t *testing.T) {
	stream := sentBy(t, Client, takeover, func(c *Conn) {
		c.SendText([]byte("Hello, hello, hello"))
		if err := c.SendText([]byte("Hello, \xff hello, hello")); err != ErrInvalidUTF8 {
			t.Error(err)
		}
		if err := c.SendFrame(OpContinuation, true, []byte("Hello, hello, hello")); err != ErrFrameOrder {
			t.Error(err)
		}
		c.SendText([]byte("Hello, hello, hello"))
	})
	if got := receivedBy(t, Server, takeover, stream); len(got) != 2 || got[1] != got[0] {
		t.Errorf("%q", got)
	}
}

func TestSendersOfCompressedMessagesDoNotMixTheirHistories(t *testing.T) {
	const senders, each = 8, 50
	c, s := newCompressing(Client, DefaultCompression, Limits{})
	var group sync.WaitGroup
	for i := range senders {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 0))
			for j := range each {
				if err := c.SendText(fmt.Appendf(nil, "%d %d %s", i, j, document(r, r.IntN(2000)))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	seen := map[string]bool{}
	for _, m := range receivedBy(t, Server, DefaultCompression, s.out) {
		fields := strings.Fields(m)
		seen[fields[0]+" "+fields[1]] = true
	}
	if len(seen) != senders*each {
		t.Errorf("%d messages came back of %d", len(seen), senders*each)
	}
}

func TestStatsCountCompressedAndUncompressedBytes(t *testing.T) {
	message := document(rand.New(rand.NewPCG(1, 1)), 1000)
	c, s := newCompressing(Client, DefaultCompression, Limits{})
	for range 10 {
		if err := c.SendText(message); err != nil {
			t.Fatal(err)
		}
	}
	_, sizes := headersOf(t, s.out)
	var after uint64
	for _, size := range sizes {
		after += uint64(size)
	}
	stats := c.Stats()
	if stats.BeforeDeflate != 10000 || stats.AfterDeflate != after || stats.PayloadSent != 10000 || stats.MessagesSent != 10 || stats.WireSent != uint64(len(s.out)) {
		t.Errorf("%+v; want 10000 and %d", stats, after)
	}
	peer, _ := newCompressing(Server, DefaultCompression, Limits{}, s.out)
	for range 10 {
		if _, _, err := peer.RecvMessage(nil); err != nil {
			t.Fatal(err)
		}
	}
	peer.RecvTimeout(nil, 0)
	stats = peer.Stats()
	if stats.BeforeInflate != after || stats.AfterInflate != 10000 || stats.PayloadReceived != 10000 || stats.MessagesReceived != 10 || stats.FramesReceived != 10 {
		t.Errorf("%+v; want %d and 10000", stats, after)
	}
}

// Compressors and inflaters are pooled: between messages a connection holds only the histories, and
// those only with takeover.
func TestAnIdleConnHoldsOnlyItsHistories(t *testing.T) {
	message := document(rand.New(rand.NewPCG(1, 1)), 100000)
	for bits := 8; bits <= 15; bits++ {
		for _, takeover := range []bool{false, true} {
			z := Compression{Level: 1, SendTakeover: takeover, RecvTakeover: takeover, SendWindowBits: bits, RecvWindowBits: bits}
			stream := sentBy(t, Server, z, func(c *Conn) { c.SendText(message) })
			c, _ := newCompressing(Client, z, Limits{}, stream)
			buf := make([]byte, 100)
			for end := false; !end; { // in many pieces, for which a history is needed
				h, _, err := c.Recv(buf)
				if err != nil {
					t.Fatal(err)
				}
				end = h.Opcode != OpNone && h.Fin && h.Remaining == 0
			}
			if err := c.SendText(message); err != nil {
				t.Fatal(err)
			}
			wantIn, wantOut := 0, 0
			if takeover {
				wantIn, wantOut = 1<<max(bits, 9), 1<<bits
			}
			if out, in, inflating := c.enc.Deflate().Memory(); in != wantIn || out != wantOut || inflating != 0 {
				t.Errorf("%d bits, takeover %v: histories of %d and %d bytes, and %d more; want %d and %d", bits, takeover, in, out, inflating, wantIn, wantOut)
			}
		}
	}
}

func TestCompressingAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, size := range []int{100, 1 << 10, 16 << 10} {
		for name, z := range map[string]Compression{"takeover": takeover, "default": DefaultCompression, "none": {Level: 1}, "thorough": {Level: 6, SendTakeover: true, RecvTakeover: true}} {
			var messages [][]byte
			for range 20 {
				messages = append(messages, document(r, size))
			}
			sender, s := newCompressing(Server, z, Limits{})
			receiver, in := newCompressing(Client, z, Limits{})
			chunks := make([][]byte, 1)
			got := make([]byte, 0, size+1)
			i := 0
			roundTrip := func() {
				message := messages[i%len(messages)]
				i++
				s.out = s.out[:0]
				if err := sender.SendBinary(message); err != nil {
					t.Fatal(err)
				}
				chunks[0] = s.out
				in.chunks = chunks
				_, msg, err := receiver.RecvMessage(got)
				if err != nil || !bytes.Equal(msg, message) {
					t.Fatal(len(msg), err)
				}
			}
			for range 2 * len(messages) {
				roundTrip() // until histories and buffers have their sizes
			}
			if allocs := testing.AllocsPerRun(200, roundTrip); allocs != 0 {
				t.Errorf("%d bytes, %s: %v allocations a message", size, name, allocs)
			}
		}
	}
}
