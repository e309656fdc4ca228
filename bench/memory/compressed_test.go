package memory

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/mask"
)

// inflated returns the messages in the frames that a client sent, all compressed.
func inflated(t *testing.T, frames []byte, takeover bool) (all []byte) {
	var stream []byte
	for len(frames) > 0 {
		h, n, err := engine.ParseHeader(frames)
		if err != nil || n == 0 {
			t.Fatal(err)
		}
		if h.Opcode == websock.OpBinary && h.Rsv != 4 {
			t.Fatal("a message is not compressed")
		}
		payload := frames[n : n+int(h.Length)]
		mask.XOR(payload, h.Key, 0)
		stream = append(stream, payload...)
		frames = frames[n+int(h.Length):]
		if !h.Fin {
			continue
		}
		stream = append(stream, "\x00\x00\xff\xff"...)
		if !takeover || len(frames) == 0 {
			stream = append(stream, "\x01\x00\x00\xff\xff"...)
			p, err := io.ReadAll(flate.NewReader(bytes.NewReader(stream)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p...)
			stream = nil
		}
	}
	return all
}

func TestContestantsCompress(t *testing.T) {
	var messages [][]byte
	for i := range 100 {
		messages = append(messages, fmt.Appendf(nil, "%0600d", i*i*i))
	}
	for _, c := range Contestants {
		for _, takeover := range []bool{false, true} {
			if c.Compresses == Never || c.Compresses == WithoutTakeover && takeover {
				continue
			}
			for _, times := range []int{0, 1, 99, 100, 101, 200, 201, 350} {
				n := NewCompressed(messages, times, takeover, 15)
				n.Keep = true
				requested := websock.Compression{Level: 1, SendTakeover: takeover, RecvTakeover: takeover}
				client, err := c.Dial(n, Work{Op: websock.OpBinary, Payload: messages[0], Times: times, Compression: requested})
				if err != nil {
					t.Fatal(c.Name, err)
				}
				if err := client.Reply(); err != nil {
					t.Fatal(c.Name, err)
				}
				var want []byte
				for i := range times {
					want = append(want, messages[i%len(messages)]...)
				}
				if got := inflated(t, n.Sent, takeover); !bytes.Equal(got, want) {
					t.Errorf("%s, takeover %v, %d times: %d bytes of %d, or others", c.Name, takeover, times, len(got), len(want))
				}
			}
		}
	}
}
