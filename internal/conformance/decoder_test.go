package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// decode gives the pieces of a stream to a Decoder and compares what it finds with the frames that
// the peer sent.
func decode(s *stream, c cut) error {
	next, stop := iter.Pull(s.row.frames())
	defer stop()
	d := decoding{compressed: !s.row.compression.IsOff(), next: next}
	limits := decoderLimits(s.row.limits).WithDefaults()
	d.decoder.Init(s.role, &limits, engine.NewPerMessageDeflate(s.row.compression))
	given := span{}
	for _, piece := range c.pieces {
		given = span{given.to, given.to + len(piece)}
		ended, err := d.decodePiece(bytes.Clone(piece)) // it is unmasked in place
		if err != nil {
			return err
		}
		if ended {
			if err := s.endsWith(given); err != nil {
				return err
			}
		}
	}
	return d.checkEnd(s)
}

// decoderLimits returns those of the limits that a Decoder enforces.
func decoderLimits(l websock.Limits) engine.Limits {
	return engine.Limits{MessageSize: l.MessageSize, FrameSize: l.FrameSize, InflatedSize: l.InflatedSize, Fragments: l.Fragments}
}

// A decoding compares frames as they are found. What a frame of a compressed message inflates to is
// known only for the whole message: its payload is compared with the echo that the row expects.
type decoding struct {
	decoder    engine.Decoder
	next       func() (frame, bool)
	compressed bool   // compression was negotiated
	payload    []byte // of the frame under way
	inflated   []byte // of the compressed message under way
	inflating  bool   // a compressed message is under way
	ended      bool
	failed     error
}

// decodePiece reports whether the stream ended with this piece.
func (d *decoding) decodePiece(piece []byte) (ended bool, err error) {
	for {
		e, n, err := d.decoder.Next(piece)
		piece = piece[n:]
		switch {
		case err != nil && d.failed == nil:
			ended, d.ended, d.failed = true, true, err
			return ended, nil
		case err != d.failed:
			return ended, fmt.Errorf("%w, after %w", err, d.failed)
		case err != nil:
			return ended, nil
		case e.Kind == engine.EventNone:
			if len(piece) > 0 {
				err = fmt.Errorf("nothing was found, but %d bytes were not used", len(piece))
			}
			return ended, err
		}
		d.payload = append(d.payload, e.Payload...)
		if e.Header.Remaining > 0 {
			continue
		}
		if err := d.compare(e); err != nil {
			return ended, err
		}
		d.payload = d.payload[:0]
		if e.Kind == engine.EventClose {
			ended, d.ended = true, true
		}
	}
}

// compare compares a frame that is complete.
func (d *decoding) compare(e engine.Event) error {
	want, more := d.next()
	if !more || want.broken != 0 || d.ended {
		return fmt.Errorf("%v %+v was accepted", e.Kind, e.Header)
	}
	h := e.Header
	if h.Opcode != want.op || h.Fin == want.more || h.Length != int64(len(want.payload)) || h.Rsv != want.rsv || e.Kind != kindOf(want.op) {
		return fmt.Errorf("%v %+v with %.200q, want %v", e.Kind, h, d.payload, want)
	}
	if h.Opcode.StartsMessage() {
		d.inflating = d.compressed && want.rsv == rsv1
	}
	if d.inflating && h.Opcode.IsData() {
		return d.compareInflated(want)
	}
	if string(d.payload) != want.payload {
		return fmt.Errorf("%v with %.200q, want %v", e.Kind, d.payload, want)
	}
	return nil
}

// compareInflated compares a compressed message once its final frame is complete.
func (d *decoding) compareInflated(f frame) error {
	d.inflated = append(d.inflated, d.payload...)
	if f.more {
		return nil
	}
	if string(d.inflated) != f.answer.payload {
		return fmt.Errorf("%d bytes inflated, %.200q, want %v", len(d.inflated), d.inflated, f.answer)
	}
	d.inflated = d.inflated[:0]
	return nil
}

func kindOf(op websock.Opcode) engine.EventKind {
	switch op {
	case websock.OpClose:
		return engine.EventClose
	case websock.OpPing:
		return engine.EventPing
	case websock.OpPong:
		return engine.EventPong
	}
	return engine.EventData
}

// checkEnd compares the end of the stream with that of the row.
func (d *decoding) checkEnd(s *stream) error {
	switch {
	case !d.ended:
		return errors.New("neither a close frame nor an error ended the stream")
	case s.last.broken == 0:
		return d.failed
	}
	if next, _ := d.next(); next.broken == 0 {
		return fmt.Errorf("%w, and valid frames before it were lost", d.failed)
	}
	if code, ok := closeCodeOf(d.failed); !ok || status(code, "") != s.last.answer.payload {
		return fmt.Errorf("%w, want code %x", d.failed, s.last.answer.payload)
	}
	return nil
}

// closeCodeOf returns the close code for what the peer did wrong.
func closeCodeOf(err error) (code websock.CloseCode, ok bool) {
	var broken *websock.ProtocolError
	var limit *websock.LimitError
	switch {
	case errors.As(err, &broken):
		return broken.Code, true
	case errors.As(err, &limit):
		return limit.Code, true
	}
	return 0, false
}
