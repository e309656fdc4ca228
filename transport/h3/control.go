package h3

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

// Types of unidirectional streams (RFC 9114 section 6.2, RFC 9204 section 4.2).
const (
	streamControl      = 0x0
	streamPush         = 0x1
	streamQPACKDecoder = 0x3 // that of its encoder is 0x2
)

// Settings (RFC 9114 section 7.2.4.1, RFC 9220 section 3).
const (
	settingMaxFieldSectionSize = 0x6
	settingExtendedConnect     = 0x8
)

// maxControlFrame bounds the frames of the server's control stream, bytes.
const maxControlFrame = 16 << 10

// sendSettings opens our control stream.
func (s *session) sendSettings() error {
	var err error
	if s.control, err = s.conn.OpenUniStream(); err != nil {
		return err
	}
	settings := quicvarint.Append(nil, settingMaxFieldSectionSize)
	settings = quicvarint.Append(settings, uint64(s.to.MaxHeaderBytes))
	b := quicvarint.Append(nil, streamControl)
	b = append(appendFrameHeader(b, frameSettings, len(settings)), settings...)
	_, err = s.control.Write(b)
	return err
}

// acceptStreams handles the streams that the server opens, until the connection ends. The client allows
// few of them.
func (s *session) acceptStreams() {
	for {
		str, err := s.conn.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		go s.handleStream(str) // whose first byte need not have come yet
	}
}

// handleStream handles a stream that the server has opened.
func (s *session) handleStream(str *quic.ReceiveStream) {
	streamType, err := quicvarint.Read(quicvarint.NewReader(str))
	switch {
	case err != nil:
	case streamType > streamQPACKDecoder:
		str.CancelRead(quic.StreamErrorCode(http3.ErrCodeStreamCreationError))
	case streamType == streamPush:
		s.violated(&violation{http3.ErrCodeIDError, "a push, which we have not allowed (RFC 9114 section 4.6)"})
	case s.seen[streamType].Swap(true):
		s.violated(&violation{http3.ErrCodeStreamCreationError, "a second stream of one type (RFC 9114 section 6.2.1)"})
	case streamType == streamControl:
		s.readControl(str)
	}
}

// readControl reads the server's control stream.
func (s *session) readControl(str *quic.ReceiveStream) {
	first := true
	for {
		frameType, payload, err := readControlFrame(str)
		switch {
		case err != nil:
			s.controlFailed(err)
			return
		case first && frameType != frameSettings:
			err = &violation{http3.ErrCodeMissingSettings, "the first frame is not SETTINGS (RFC 9114 section 6.2.1)"}
		case first:
			err = s.receiveSettings(payload)
		case frameType == frameGoAway:
			err = s.receiveGoAway(payload)
		case frameType == frameData, frameType == frameHeaders, frameType == frameSettings:
			err = &violation{http3.ErrCodeFrameUnexpected, fmt.Sprintf("frame of type %#x on the control stream (RFC 9114 section 7.2)", frameType)}
		}
		if err != nil {
			s.controlFailed(err)
			return
		}
		first = false
	}
}

// readControlFrame reads a frame.
func readControlFrame(str io.Reader) (frameType uint64, payload []byte, err error) {
	r := quicvarint.NewReader(str)
	if frameType, err = quicvarint.Read(r); err == nil {
		var length uint64
		if length, err = quicvarint.Read(r); err == nil {
			if length > maxControlFrame {
				return 0, nil, &violation{http3.ErrCodeExcessiveLoad, fmt.Sprintf("frame of %d bytes on the control stream", length)}
			}
			payload = make([]byte, length)
			_, err = io.ReadFull(r, payload)
		}
	}
	var reset *quic.StreamError
	if err == io.EOF || err == io.ErrUnexpectedEOF || errors.As(err, &reset) {
		err = &violation{http3.ErrCodeClosedCriticalStream, "the control stream has ended (RFC 9114 section 6.2.1)"}
	}
	return frameType, payload, err
}

// receiveSettings handles the payload of SETTINGS.
func (s *session) receiveSettings(p []byte) error {
	extended := false
	seen := map[uint64]bool{}
	for len(p) > 0 {
		id, n, err := quicvarint.Parse(p)
		if err != nil {
			return errMalformed
		}
		value, m, err := quicvarint.Parse(p[n:])
		if err != nil {
			return errMalformed
		}
		p = p[n+m:]
		if seen[id] || id == 0 || id >= 2 && id <= 5 {
			return &violation{http3.ErrCodeSettingsError, fmt.Sprintf("the setting %#x is that of HTTP/2, or comes again (RFC 9114 section 7.2.4)", id)}
		}
		seen[id] = true
		if id == settingExtendedConnect {
			extended = value == 1
		}
	}
	s.extendedConnect = extended
	close(s.settled)
	return nil
}

var errMalformed = &violation{http3.ErrCodeFrameError, "a frame of the control stream is malformed (RFC 9114 section 7.2)"}

// receiveGoAway handles the payload of GOAWAY: the streams from an ID on are not processed.
func (s *session) receiveGoAway(p []byte) error {
	id, n, err := quicvarint.Parse(p)
	if err != nil || n != len(p) {
		return errMalformed
	}
	if id%4 != 0 {
		return &violation{http3.ErrCodeIDError, "the ID in GOAWAY is not that of a request (RFC 9114 section 7.2.6)"}
	}
	if !s.goAway(id) {
		return &violation{http3.ErrCodeIDError, "the ID in GOAWAY is larger than before (RFC 9114 section 5.2)"}
	}
	return nil
}

// controlFailed is called for an error of the control stream: the peer has violated RFC 9114, or the
// connection has ended anyway.
func (s *session) controlFailed(err error) {
	var v *violation
	if errors.As(err, &v) {
		s.violated(v)
	}
}

// violated ends a connection whose peer has violated RFC 9114, and returns the error for it.
func (s *session) violated(v *violation) error {
	s.end(v.code, v)
	return v.sessionError()
}
