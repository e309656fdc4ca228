package websock

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// settings are ways to compress.
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

// newCompressing returns a Conn that compresses.
func newCompressing(role Role, z Compression, limits Limits, chunks ...[]byte) (*Conn, *script) {
	t := &script{chunks: chunks}
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

// cutAtRandom cuts a stream at random.
func cutAtRandom(r *rand.Rand, stream []byte, most int) (chunks [][]byte) {
	for len(stream) > 0 {
		n := 1 + r.IntN(min(most, len(stream)))
		chunks = append(chunks, stream[:n:n])
		stream = stream[n:]
	}
	return chunks
}

// sentBy returns what role sends when f does the sending.
func sentBy(t *testing.T, role Role, z Compression, f func(c *Conn)) []byte {
	t.Helper()
	c, s := newCompressing(role, z, Limits{})
	f(c)
	return s.out
}

func TestCompressedMessagesComeBack(t *testing.T) {
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
