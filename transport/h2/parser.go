package h2

import (
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// A parser takes the bytes that the carrier has received, cut anywhere. The payload of DATA frames is
// handled as it comes. Other frames are gathered until they are complete, a header list with all its
// CONTINUATION frames, and parsed by an http2.Framer. WINDOW_UPDATE frames, which come all the time, are
// parsed here, as the Framer allocates memory for each.
type parser struct {
	view     []byte // what was received and not handled
	viewSize int    // of the carrier's view, of which view is the end

	phase   parserPhase
	partial *buffer.Buffer // the beginning of a frame, or of a header list; nil: none
	started int            // where the incomplete frame starts in partial
	list    bool           // partial has a header list that goes on with CONTINUATION
	frames  int            // of the header list

	data   dataFrame
	framer *http2.Framer
	source frameSource
}

type parserPhase uint8

const (
	inPreface  parserPhase = iota // the client's preface has not come
	inSettings                    // the peer's first frame has not come, which must be SETTINGS
	inFrames
)

// A dataFrame is the DATA frame that is being received.
type dataFrame struct {
	active    bool
	stream    *Stream // nil: its payload is dropped
	remaining int     // bytes of payload that have not come
	padding   int     // bytes of padding that have not come
	padded    bool    // the length of the padding has not come
	endStream bool
}

// isComplete reports whether all of a frame was received, but its end was not handled, since a Receiver
// has ended the goroutine.
func (d *dataFrame) isComplete() bool { return d.active && d.remaining == 0 && d.padding == 0 }

// mostContinuations is how many frames a header list may have (RFC 9113 section 10.5.1).
const mostContinuations = 64

func (p *parser) init(s *Session) {
	if s.client || s.config.PrefaceRead {
		p.phase = inSettings
	}
	p.framer = http2.NewFramer(nil, &p.source)
	p.framer.SetMaxReadFrameSize(maxFrame)
	p.framer.MaxHeaderListSize = uint32(s.config.MaxHeaderBytes)
	p.framer.ReadMetaHeaders = hpack.NewDecoder(hpackTable, nil)
}

// hpackTable is the size of the table for decompressing header lists (RFC 9113 section 6.5.2).
const hpackTable = 4096

// A frameSource is the reader of a Framer. It has whole frames.
type frameSource struct{ rest []byte }

func (r *frameSource) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// A frameHeader is the header of a frame (RFC 9113 section 4.1).
type frameHeader struct {
	length int
	kind   http2.FrameType
	flags  http2.Flags
	stream uint32
}

func parseFrameHeader(p []byte) frameHeader {
	return frameHeader{
		length: int(binary.BigEndian.Uint32(p) >> 8),
		kind:   http2.FrameType(p[3]),
		flags:  http2.Flags(p[4]),
		stream: binary.BigEndian.Uint32(p[5:]) &^ (1 << 31),
	}
}

// parse handles the view: all of it, unless the Session ends. A Receiver may end the goroutine, while
// the lock is not held.
func (s *Session) parse() {
	p := &s.parser
	s.lock()
	for (len(p.view) > 0 || p.data.isComplete()) && s.phase != ended {
		if err := s.parseNextLocked(); err != nil {
			s.violatedLocked(err)
		}
	}
	p.view = nil
	s.unlock()
}

// parseNextLocked handles what comes next in the view, as much as there is.
func (s *Session) parseNextLocked() *SessionError {
	p := &s.parser
	switch {
	case p.phase == inPreface:
		return p.skipPreface()
	case p.data.active:
		return s.receiveDataLocked()
	case p.partial != nil:
		return s.parsePartialLocked()
	case len(p.view) < frameHeaderSize:
		p.keep(len(p.view))
		return nil
	}
	h := parseFrameHeader(p.view)
	if err := s.checkFrameLocked(h); err != nil {
		return err
	}
	size := frameHeaderSize + h.length
	switch {
	case h.kind == http2.FrameData:
		p.view = p.view[frameHeaderSize:]
		return s.beginDataLocked(h)
	case len(p.view) < size || !endsList(h):
		p.keep(min(len(p.view), size))
		if p.size() == size { // a header list that goes on
			p.started, p.list = size, true
		}
		return nil
	}
	frame := p.view[:size]
	p.view = p.view[size:]
	return s.frameLocked(h, frame)
}

// endsList reports whether a frame is complete in itself.
func endsList(h frameHeader) bool {
	switch h.kind {
	case http2.FrameHeaders, http2.FrameContinuation, http2.FramePushPromise:
		return h.flags.Has(http2.FlagHeadersEndHeaders)
	}
	return true
}

// skipPreface checks the client's preface (RFC 9113 section 3.4).
func (p *parser) skipPreface() *SessionError {
	got := p.size()
	n := min(len(p.view), len(preface)-got)
	if string(p.view[:n]) != preface[got:got+n] {
		return violation(http2.ErrCodeProtocol, "the connection preface is wrong")
	}
	if got+n < len(preface) {
		p.keep(n)
		return nil
	}
	p.view = p.view[n:]
	p.drop()
	p.phase = inSettings
	return nil
}

// keep moves n bytes from the view to the partial frame.
func (p *parser) keep(n int) {
	if p.partial == nil {
		p.partial = buffer.Get(n)
	} else {
		p.partial.Grow(n)
	}
	p.partial.B = append(p.partial.B, p.view[:n]...)
	p.view = p.view[n:]
}

func (p *parser) size() int {
	if p.partial == nil {
		return 0
	}
	return len(p.partial.B)
}

func (p *parser) drop() {
	if p.partial != nil {
		p.partial.Put()
		p.partial = nil
	}
	p.started, p.list, p.frames = 0, false, 0
}

// parsePartialLocked adds to the partial frame, and handles it when it is complete.
func (s *Session) parsePartialLocked() *SessionError {
	p := &s.parser
	if have := p.size() - p.started; have < frameHeaderSize {
		p.keep(min(frameHeaderSize-have, len(p.view)))
		if p.size()-p.started < frameHeaderSize {
			return nil
		}
		h := parseFrameHeader(p.partial.B[p.started:])
		if err := s.checkFrameLocked(h); err != nil {
			return err
		}
		if h.kind == http2.FrameData {
			p.drop()
			return s.beginDataLocked(h)
		}
	}
	h := parseFrameHeader(p.partial.B[p.started:])
	size := p.started + frameHeaderSize + h.length
	p.keep(min(size-p.size(), len(p.view)))
	switch {
	case p.size() < size:
		return nil
	case !endsList(h):
		p.started, p.list = size, true
		return p.checkList(s.config.MaxHeaderBytes)
	}
	b := p.partial
	p.partial = nil
	p.drop()
	defer b.Put()
	return s.frameLocked(parseFrameHeader(b.B), b.B)
}

// checkList bounds a header list that goes on.
func (p *parser) checkList(most int) *SessionError {
	if p.frames++; p.frames > mostContinuations || p.size() > most+maxFrame {
		return violation(http2.ErrCodeEnhanceYourCalm, "a header list is too long")
	}
	return nil
}

// The beginnings of a response of HTTP/1.1, taken for the header of a frame.
var (
	beginHTTP11 = parseFrameHeader([]byte("HTTP/1.1 "))
	beginHTTP10 = parseFrameHeader([]byte("HTTP/1.0 "))
)

// checkFrameLocked checks the header of a frame (RFC 9113 sections 4.2 and 6.10).
func (s *Session) checkFrameLocked(h frameHeader) *SessionError {
	p := &s.parser
	switch {
	case p.phase == inSettings && (h == beginHTTP11 || h == beginHTTP10):
		return violation(http2.ErrCodeProtocol, "the peer speaks HTTP/1.1")
	case p.phase == inSettings && (h.kind != http2.FrameSettings || h.flags.Has(http2.FlagSettingsAck)):
		return violation(http2.ErrCodeProtocol, "the first frame is not SETTINGS")
	case h.length > maxFrame:
		return violation(http2.ErrCodeFrameSize, "a frame is longer than allowed")
	case p.list != (h.kind == http2.FrameContinuation):
		return violation(http2.ErrCodeProtocol, "CONTINUATION is missing, or follows no header list")
	case p.list && h.stream != parseFrameHeader(p.partial.B).stream:
		return violation(http2.ErrCodeProtocol, "CONTINUATION is of another stream")
	}
	p.phase = inFrames
	return nil
}

// frameLocked handles a frame that is complete. A header list comes with its CONTINUATION frames.
func (s *Session) frameLocked(h frameHeader, frame []byte) *SessionError {
	if h.kind == http2.FrameWindowUpdate && h.length == 4 {
		if s.config.Trace != nil {
			s.traceLocked(false, frame, nil)
		}
		return s.windowUpdateLocked(h.stream, int64(binary.BigEndian.Uint32(frame[frameHeaderSize:])&^(1<<31)))
	}
	p := &s.parser
	p.source.rest = frame
	f, err := p.framer.ReadFrame()
	p.source.rest = nil
	if s.config.Trace != nil {
		s.traceLocked(false, frame, f)
	}
	var ofStream http2.StreamError
	var ofConnection http2.ConnectionError
	switch {
	case err == nil:
		return s.handleFrameLocked(f)
	case errors.As(err, &ofStream) && (h.kind != http2.FrameHeaders || ofStream.Cause != nil):
		return s.streamViolatedLocked(ofStream)
	case errors.As(err, &ofStream): // the list was not decompressed, so that none after it can be
		return violation(http2.ErrCodeProtocol, "the padding is longer than the frame")
	case errors.As(err, &ofConnection):
		return violation(http2.ErrCode(ofConnection), ruleOf(p.framer.ErrorDetail(), "a frame is malformed"))
	case errors.Is(err, http2.ErrFrameTooLarge):
		return violation(http2.ErrCodeFrameSize, "a frame is longer than allowed")
	}
	return violation(http2.ErrCodeProtocol, err.Error())
}

// ruleOf returns the text of err, or of otherwise if that is nil.
func ruleOf(err error, otherwise string) string {
	if err != nil {
		return err.Error()
	}
	return otherwise
}
