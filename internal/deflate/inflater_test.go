package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/internal/race"
)

// inflate inflates a stream in pieces, into pieces.
func inflate(t testing.TB, stream []byte, bits int, inPiece, outPiece func() int) ([]byte, error) {
	t.Helper()
	var f Inflater
	h := NewHistory(bits)
	var all []byte
	for len(stream) > 0 {
		piece := stream[:min(len(stream), inPiece())]
		stream = stream[len(piece):]
		for {
			out := make([]byte, outPiece())
			written, read, needsMore, err := f.Inflate(out, piece, &h)
			h.Append(out[:written])
			all = append(all, out[:written]...)
			piece = piece[read:]
			if err != nil {
				return all, err
			}
			if !needsMore && written < len(out) {
				t.Fatalf("no more input is needed, though there is room for %d bytes", len(out)-written)
			}
			if needsMore {
				if len(piece) > 0 {
					t.Fatalf("more input is needed, though %d bytes were not read", len(piece))
				}
				break
			}
		}
	}
	if !f.AtEnd() {
		return all, io.ErrUnexpectedEOF
	}
	return all, nil
}

func always(n int) func() int { return func() int { return n } }

func upTo(r *rand.Rand, n int) func() int { return func() int { return 1 + r.IntN(n) } }

// samples returns data to compress.
func samples() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 100000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	words := strings.Fields("alpha beta gamma delta epsilon zeta eta theta € 日本 iota kappa lambda mu")
	var text strings.Builder
	for text.Len() < 200000 {
		fmt.Fprintf(&text, `{"%s":%d,"%s":"%s"}`, words[r.IntN(len(words))], r.IntN(1e6), words[r.IntN(len(words))], words[r.IntN(len(words))])
	}
	return map[string][]byte{
		"nothing":  {},
		"one byte": {'x'},
		"a word":   []byte("Hello"),
		"zeros":    make([]byte, 300000),
		"noise":    noise,
		"text":     []byte(text.String()),
		"mixed":    append(append(noise[:40000:40000], text.String()[:50000]...), make([]byte, 70000)...),
	}
}

// streams returns a sample compressed by the standard library: flushed, or ended.
func streams(t testing.TB, sample []byte) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, level)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(sample[:len(sample)/3])
		w.Flush()
		w.Write(sample[len(sample)/3:])
		w.Flush()
		all[fmt.Sprint("flushed, level ", level)] = bytes.Clone(b.Bytes())
		w.Close()
		all[fmt.Sprint("ended, level ", level)] = b.Bytes()
	}
	return all
}

func TestInflateReadsStandardLibraryStreams(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine, for long")
	}
	r := rand.New(rand.NewPCG(3, 4))
	for name, sample := range samples() {
		for maker, stream := range streams(t, sample) {
			for pieces, size := range map[string]func() int{"large": always(1 << 20), "random": upTo(r, 5000), "small": upTo(r, 30)} {
				got, err := inflate(t, stream, 15, size, size)
				if err != nil || !bytes.Equal(got, sample) {
					t.Errorf("%s, %s, %s pieces: %d bytes of %d, %v", name, maker, pieces, len(got), len(sample), err)
				}
			}
		}
	}
}

func TestInflateResumesAtEveryByte(t *testing.T) {
	sample := samples()["mixed"][39000:41000]
	for maker, stream := range streams(t, sample) {
		for _, room := range []int{1, 2, 3, 300} {
			got, err := inflate(t, stream, 15, always(1), always(room))
			if err != nil || !bytes.Equal(got, sample) {
				t.Errorf("%s, room for %d: %d bytes, %v", maker, room, len(got), err)
			}
		}
	}
}

func TestInflateRejectsInvalidStreams(t *testing.T) {
	for name, stream := range map[string]string{
		"reserved kind of block":         "\x07",
		"sizes that don't fit":           "\x00\x01\x00\x01\x00",
		"too many literals":              "\xfd\xff\xff\xff",
		"a distance before the start":    "\x02\x00\xff\xff"[:0] + "\x03\x02\x00",
		"symbol 286":                     "\x1b\x03\x00",
		"noise":                          "\xde\xad\xbe\xef\xde\xad\xbe\xef",
		"over-subscribed codes of sizes": "\x04\x00\xfe\xff\xff\xff\xff",
	} {
		var f Inflater
		h := NewHistory(15)
		_, _, _, err := f.Inflate(make([]byte, 1000), []byte(stream), &h)
		if err == nil && f.AtEnd() {
			t.Errorf("%s: taken", name)
			continue
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, _, again := f.Inflate(make([]byte, 1000), []byte("\x00\x00\x00\xff\xff"), &h); again != err {
			t.Errorf("%s: first %v, then %v", name, err, again)
		}
	}
}

// agree compares with the standard library, up to the end of the stream or of a final block.
func standard(stream []byte) ([]byte, error) {
	return io.ReadAll(flate.NewReader(bytes.NewReader(stream)))
}

func FuzzInflate(f *testing.F) {
	for _, sample := range samples() {
		for _, stream := range streams(f, sample[:min(len(sample), 500)]) {
			f.Add(stream, uint64(1))
		}
	}
	// A stream inflates to a thousand times its size. Larger ones find nothing new and take seconds.
	const longest = 1 << 10
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		stream = stream[:min(len(stream), longest)]
		r := rand.New(rand.NewPCG(seed, 0))
		got, err := inflate(t, stream, 15, upTo(r, 50), upTo(r, 700))
		want, wantErr := standard(stream)
		if !bytes.HasPrefix(got, want) {
			t.Fatalf("%d bytes that aren't the %d of the standard library: %v, %v", len(got), len(want), err, wantErr)
		}
		if wantErr != nil && wantErr != io.ErrUnexpectedEOF && err == nil {
			t.Fatalf("%v; want %v", err, wantErr)
		}
		if wantErr == nil && len(got) < len(want) {
			t.Fatalf("%d bytes, %v; want %d", len(got), err, len(want))
		}
		again, errAgain := inflate(t, stream, 15, always(1<<20), always(1<<16))
		if !bytes.Equal(got, again) || err != errAgain {
			t.Fatalf("in pieces %d bytes and %v, as a whole %d and %v", len(got), err, len(again), errAgain)
		}
	})
}
