package memory

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"

	klauspost "github.com/klauspost/compress/flate"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// NewCompressed returns a network that sends compressed binary messages, repeatedly, times in total,
// with a window of so many bits in both directions. The messages must have the same size and together
// be longer than a window.
func NewCompressed(messages [][]byte, times int, takeover bool, bits int) *Network {
	n := &Network{maxRead: socketRead, responses: make(chan []byte, 1), extensions: "permessage-deflate"}
	d := newDeflating(bits)
	if bits < 15 {
		n.extensions += fmt.Sprintf("; server_max_window_bits=%d; client_max_window_bits=%d", bits, bits)
	}
	if !takeover {
		n.extensions += "; server_no_context_takeover; client_no_context_takeover"
	}
	var ends []int
	for turn := range 2 { // from the second turn on, the history is the same
		if turn == 1 {
			n.repeat = len(n.frames)
		}
		for _, m := range messages {
			if !takeover {
				d = newDeflating(bits)
			}
			p := d.message(m)
			n.frames = engine.AppendHeader(n.frames, websock.Header{Fin: true, Rsv: 4, Opcode: websock.OpBinary, Length: int64(len(p))})
			n.frames = append(n.frames, p...)
			ends = append(ends, len(n.frames))
		}
	}
	n.remaining = sizeOf(ends, len(messages), times)
	return n
}

// sizeOf returns the size of so many frames, of which the second turn is repeated. ends has the ends of
// the frames of both turns.
func sizeOf(ends []int, turn, times int) int {
	if times <= len(ends) {
		return append([]int{0}, ends...)[times]
	}
	again, end := ends[turn-1], ends[len(ends)-1]
	times -= len(ends)
	return end + times/turn*(end-again) + ends[turn-1+times%turn] - again
}

// A deflating compresses like zlib with its defaults, as most servers do. The standard library has no
// windows smaller than 32 KiB.
type deflating struct {
	out bytes.Buffer
	w   interface {
		io.Writer
		Flush() error
	}
}

func newDeflating(bits int) *deflating {
	d := &deflating{}
	if bits < 15 {
		d.w, _ = klauspost.NewWriterWindow(&d.out, 1<<bits)
	} else {
		d.w, _ = flate.NewWriter(&d.out, flate.DefaultCompression)
	}
	return d
}

func (d *deflating) message(p []byte) []byte {
	d.out.Reset()
	d.w.Write(p)
	d.w.Flush()
	return bytes.TrimSuffix(d.out.Bytes(), []byte("\x00\x00\xff\xff"))
}
