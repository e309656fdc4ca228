package conformance

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"

	"github.com/seed004e8d11/websock"
)

// tail is what a sender removes from the end of a compressed message (RFC 7692 section 7.2.1).
const tail = "\x00\x00\xff\xff"

const rsv1 = 4

// A deflater compresses the messages of a peer with the standard library. That has no windows
// smaller than 32 KiB, so each half of a window is compressed separately, with the half before it as
// the dictionary: no reference goes back further than a window.
type deflater struct {
	takeover bool
	half     int
	dict     []byte
}

func newDeflater(takeover bool, bits int) *deflater {
	return &deflater{takeover: takeover, half: 1 << bits / 2}
}

func (d *deflater) message(p string) string {
	if !d.takeover {
		d.dict = nil
	}
	var out bytes.Buffer
	for {
		part := p[:min(len(p), d.half)]
		p = p[len(part):]
		w, err := flate.NewWriterDict(&out, flate.DefaultCompression, d.dict[max(0, len(d.dict)-d.half):])
		if err != nil {
			panic(err)
		}
		io.WriteString(w, part)
		w.Flush()
		d.dict = append(d.dict, part...)
		if p == "" {
			return string(bytes.TrimSuffix(out.Bytes(), []byte(tail)))
		}
	}
}

// An answerReader reads the frames that an endpoint sends and inflates them. A reference further
// back than the negotiated window is an error.
type answerReader struct {
	in      io.Reader
	role    websock.Role
	agreed  websock.Compression // of the endpoint
	history []byte
}

func (s *stream) answersFrom(in io.Reader) *answerReader {
	return &answerReader{in: in, role: s.role, agreed: s.row.compression}
}

func (l *answerReader) next() (frame, error) {
	f, err := readFrame(l.in, l.role)
	if err != nil || f.rsv != rsv1 || l.agreed.IsOff() {
		return f, err
	}
	stream := f.payload + tail + "\x01\x00\x00\xff\xff"
	p, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader([]byte(stream)), l.history))
	if err != nil {
		return f, fmt.Errorf("a compressed answer: %w", err)
	}
	if l.agreed.SendTakeover {
		l.history = append(l.history, p...)
		l.history = l.history[max(0, len(l.history)-1<<l.agreed.SendWindowBits):]
	}
	f.rsv, f.payload = 0, string(p)
	return f, nil
}
