package conformance

import (
	"fmt"
	"iter"
	"slices"

	"github.com/seed004e8d11/websock"
)

// A row is one case: what a peer sends, frame by frame, and what an endpoint that echoes
// messages answers.
type row struct {
	number      string
	behaviour   string
	talk        iter.Seq[frame]
	limits      websock.Limits      // zero: the defaults
	compression websock.Compression // that was agreed on, as the endpoint has it
	pieces      int                 // how the peer cuts what it writes: into so many bytes, or wholeFrames; 0: not at all
}

const wholeFrames = -1

// rows are all cases, in the order of their numbers.
func rows() []row {
	return slices.Concat(framing, pings, reservedBits, opcodes, fragmentation, texts(), closes(), sizes(), autoFragmentation, compression())
}

func talk(frames ...frame) iter.Seq[frame] { return slices.Values(frames) }

var goodbye = closing(status(websock.CloseNormal, "")).echoed()

// ends reports whether the answer is the last one.
func (f frame) ends() bool { return f.answer != nil && f.answer.op == websock.OpClose }

// frames are those of the talk. If it doesn't end the connection, the peer closes it at
// the end, so that all rows end.
func (r row) frames() iter.Seq[frame] {
	return func(yield func(frame) bool) {
		over := false
		for f := range r.talk {
			over = over || f.ends()
			if !yield(f) {
				return
			}
		}
		if !over {
			yield(goodbye)
		}
	}
}

// A stream is what the peer sends in a row, as bytes.
type stream struct {
	row     row
	role    websock.Role // of the endpoint that is tested
	bytes   []byte
	frames  []int    // where each frame ends
	answers []answer // in order; the last one closes
	last    frame    // the one that ends the connection
	over    span     // of the bytes that end the connection: the last is enough, the first could be
}

// An answer is what must have come when a part of a stream was received, whatever
// follows.
type answer struct {
	after int
	frame frame
}

// A span is a part of a stream: the first byte, and the one behind the last.
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
			s.last, s.over = f, span{after - 1, after}
			if f.broken == header {
				s.over.from = start // what is wrong may be seen before all of it is there
			}
		}
	}
	return s
}

// endsWith returns an error unless the connection may end when that part of the stream has
// come, but not what is before it.
func (s *stream) endsWith(piece span) error {
	if piece.from >= s.over.to || piece.to <= s.over.from {
		return fmt.Errorf("it ended with bytes %d to %d, not %d to %d", piece.from, piece.to, s.over.from, s.over.to)
	}
	return nil
}
