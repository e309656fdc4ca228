package conformance

import (
	"fmt"
	"iter"
	"slices"

	"github.com/seed004e8d11/websock"
)

// A row is one case: the frames that a peer sends, with the answers of an endpoint that echoes
// messages.
type row struct {
	number      string
	behaviour   string
	talk        iter.Seq[frame]
	limits      websock.Limits      // zero: the defaults
	compression websock.Compression // negotiated, as the endpoint has it
	pieces      int                 // size in bytes of the peer's writes, or wholeFrames; 0: one write
}

const wholeFrames = -1

// rows returns all cases, in the order of their numbers.
func rows() []row {
	return slices.Concat(framing, pings, reservedBits, opcodes, fragmentation, texts(), closes(), sizes(), autoFragmentation, compression())
}

func talk(frames ...frame) iter.Seq[frame] { return slices.Values(frames) }

var goodbye = closing(status(websock.CloseNormal, "")).echoed()

// ends reports whether the frame ends the connection.
func (f frame) ends() bool { return f.answer != nil && f.answer.op == websock.OpClose }

// frames returns the frames of the conversation. If none of them ends the connection, a close
// frame follows.
func (r row) frames() iter.Seq[frame] {
	return func(yield func(frame) bool) {
		ended := false
		for f := range r.talk {
			ended = ended || f.ends()
			if !yield(f) {
				return
			}
		}
		if !ended {
			yield(goodbye)
		}
	}
}

// A stream is the bytes that the peer of a row sends.
type stream struct {
	row     row
	role    websock.Role // of the endpoint under test
	bytes   []byte
	frames  []int    // the end of each frame
	answers []answer // in order; the last is a close frame
	last    frame    // ends the connection
	ending  span     // the connection ends with one of these bytes, at the latest with the last
}

// An answer must have been sent once the endpoint has received the first so many bytes of a stream.
type answer struct {
	after int
	frame frame
}

// A span is the part of a stream from one offset up to another.
type span struct{ from, to int }

// stream returns what the peer of an endpoint of that role sends.
func (r row) stream(role websock.Role) *stream {
	s := &stream{row: r, role: role}
	for f := range r.frames() {
		masked := (role == websock.Server) != f.wrongMask
		start := len(s.bytes)
		s.bytes = f.appendTo(s.bytes, masked, len(s.frames))
		s.frames = append(s.frames, len(s.bytes))
		if f.answer == nil {
			continue
		}
		after := len(s.bytes)
		switch {
		case f.broken == header:
			after = start + f.headerSize(masked)
		case f.broken > 0:
			after = start + f.headerSize(masked) + f.broken
		}
		s.answers = append(s.answers, answer{after, *f.answer})
		if f.ends() {
			s.last, s.ending = f, span{after - 1, after}
			if f.broken == header {
				s.ending.from = start // the error may show before the header is complete
			}
		}
	}
	return s
}

// endsWith returns an error unless the connection may end with that piece of the stream, which is
// neither too early nor too late.
func (s *stream) endsWith(piece span) error {
	if piece.from >= s.ending.to || piece.to <= s.ending.from {
		return fmt.Errorf("it ended with bytes %d to %d, not %d to %d", piece.from, piece.to, s.ending.from, s.ending.to)
	}
	return nil
}
