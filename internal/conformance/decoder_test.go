package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// decode gives a stream, cut as it is, to a bare Decoder, and holds what comes out against
// the frames that went in.
func decode(s *stream, c cut) error {
	next, stop := iter.Pull(s.row.frames())
	defer stop()
	d := decoding{decoder: engine.NewDecoder(s.role, decoderLimits(s.row.limits)), next: next}
	given := span{}
	for _, piece := range c.pieces {
		given = span{given.to, given.to + len(piece)}
		ended, err := d.take(bytes.Clone(piece)) // it is unmasked in place
		if err != nil {
			return err
		}
		if ended {
			if err := s.endsWith(given); err != nil {
				return err
			}
		}
	}
	return d.judge(s)
}

// decoderLimits returns the limits that a Decoder knows.
func decoderLimits(l websock.Limits) engine.Limits {
	return engine.Limits{MessageSize: l.MessageSize, FrameSize: l.FrameSize, Fragments: l.Fragments}
}

// A decoding compares on the fly.
type decoding struct {
	decoder *engine.Decoder
	next    func() (frame, bool)
	payload []byte // of the frame under way
	ended   bool
	failed  error
}

// take reports whether the connection ended with this piece.
func (d *decoding) take(piece []byte) (ended bool, err error) {
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
				err = fmt.Errorf("%d bytes are left, and nothing was found", len(piece))
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
		return fmt.Errorf("%v %+v was not refused", e.Kind, e.Header)
	}
	h := e.Header
	if h.Opcode != want.op || h.Fin == want.more || h.Length != int64(len(want.payload)) || h.Rsv != want.rsv ||
		e.Kind != kindOf(want.op) || string(d.payload) != want.payload {
		return fmt.Errorf("%v %+v with %.200q, want %v", e.Kind, h, d.payload, want)
	}
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

// judge tells whether the end is the one of the row.
func (d *decoding) judge(s *stream) error {
	switch {
	case !d.ended:
		return errors.New("it didn't end")
	case s.last.broken == 0:
		return d.failed
	}
	if next, _ := d.next(); next.broken == 0 {
		return fmt.Errorf("%w, and frames that are right before it were lost", d.failed)
	}
	if code, ok := blamed(d.failed); !ok || status(code, "") != s.last.answer.payload {
		return fmt.Errorf("%w, want code %x", d.failed, s.last.answer.payload)
	}
	return nil
}

// blamed returns the close code of what the peer did wrong.
func blamed(err error) (code websock.CloseCode, ok bool) {
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
