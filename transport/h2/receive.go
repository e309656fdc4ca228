package h2

import (
	"math"
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
	"golang.org/x/net/http2"
)

// handleFrameLocked handles a frame that is neither DATA nor WINDOW_UPDATE.
func (s *Session) handleFrameLocked(f http2.Frame) *SessionError {
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		return s.headersLocked(f)
	case *http2.SettingsFrame:
		return s.settingsLocked(f)
	case *http2.RSTStreamFrame:
		return s.resetLocked(f)
	case *http2.PingFrame:
		return s.pingLocked(f)
	case *http2.GoAwayFrame:
		return s.goAwayLocked(f)
	case *http2.PushPromiseFrame:
		return violation(http2.ErrCodeProtocol, "PUSH_PROMISE is not enabled")
	}
	return s.nuisance.count() // PRIORITY, and frames that we don't know (RFC 9113 section 5.5)
}

// headersLocked handles a header list.
func (s *Session) headersLocked(f *http2.MetaHeadersFrame) *SessionError {
	head := Head{Fields: f.Fields, EndStream: f.StreamEnded(), Truncated: f.Truncated}
	st := s.streams[f.StreamID]
	switch {
	case st == nil && !s.client:
		return s.requestLocked(f.StreamID, head)
	case st == nil:
		return s.frameOnClosedLocked(f.StreamID)
	case st.has(remoteEnded):
		return s.streamViolatedLocked(http2.StreamError{StreamID: st.id, Code: http2.ErrCodeStreamClosed})
	case st.isOpeningLocked():
		return s.responseLocked(st, head)
	case !head.EndStream || len(f.PseudoFields()) > 0:
		return s.streamViolatedLocked(http2.StreamError{StreamID: st.id, Code: http2.ErrCodeProtocol})
	}
	st.ensureRare().trailer = head.Fields
	st.endReceivedLocked()
	return nil
}

// responseLocked handles the header of a response. Those with a status of 1xx are not the last.
func (s *Session) responseLocked(st *Stream, head Head) *SessionError {
	if len(head.Fields) == 0 || head.Fields[0].Name != ":status" {
		return s.streamViolatedLocked(http2.StreamError{StreamID: st.id, Code: http2.ErrCodeProtocol})
	}
	if status := head.Fields[0].Value; len(status) == 3 && status[0] == '1' {
		if head.EndStream {
			return s.streamViolatedLocked(http2.StreamError{StreamID: st.id, Code: http2.ErrCodeProtocol})
		}
		return s.nuisance.count()
	}
	st.openedLocked(head, nil)
	if head.EndStream {
		st.endReceivedLocked()
	}
	return nil
}

// requestLocked handles the request of a client.
func (s *Session) requestLocked(id uint32, head Head) *SessionError {
	switch {
	case id%2 == 0:
		return violation(http2.ErrCodeProtocol, "a client opens a stream with an even number")
	case id <= s.lastID && s.recent.find(id) != nil: // a trailer that was under way
		return s.nuisance.count()
	case id <= s.lastID:
		return violation(http2.ErrCodeStreamClosed, "HEADERS of a stream that has ended")
	case s.phase == draining || len(s.streams) >= s.config.MaxStreams:
		return s.streamViolatedLocked(http2.StreamError{StreamID: id, Code: http2.ErrCodeRefusedStream})
	}
	s.lastID = id
	st := s.newStreamLocked(id)
	s.notes.changed = true
	if head.EndStream {
		st.endReceivedLocked()
	}
	s.unlock()
	s.config.Request(st, head)
	s.lock()
	return nil
}

// frameOnClosedLocked handles a frame of a stream that has ended. It may have been under way when we
// have reset the stream.
func (s *Session) frameOnClosedLocked(id uint32) *SessionError {
	switch {
	case s.isIdleLocked(id):
		return violation(http2.ErrCodeProtocol, "a frame is of a stream that was not opened")
	case s.recent.find(id) != nil:
		return s.nuisance.count()
	}
	return s.streamViolatedLocked(http2.StreamError{StreamID: id, Code: http2.ErrCodeStreamClosed})
}

// writeResetLocked resets a stream of which so much payload may be under way.
func (s *Session) writeResetLocked(id uint32, code http2.ErrCode, window int64) {
	s.out.writeReset(id, code)
	s.recent.add(id, window, s.peak)
}

// isIdleLocked reports whether no stream with this number was opened yet (RFC 9113 section 5.1).
func (s *Session) isIdleLocked(id uint32) bool {
	if ours := id%2 == 1 == s.client; ours {
		return id >= s.nextID
	}
	return id > s.lastID
}

// streamViolatedLocked resets a stream because of what the peer has done.
func (s *Session) streamViolatedLocked(err http2.StreamError) *SessionError {
	window := 0 // of payload that may be under way
	if s.isIdleLocked(err.StreamID) {
		if ours := err.StreamID%2 == 1 == s.client; ours || err.StreamID%2 == 0 {
			return violation(err.Code, ruleOf(err.Cause, "a frame is of a stream that was not opened"))
		}
		s.lastID = err.StreamID // a request that is malformed, or refused
		window = s.initialRecvWindowLocked()
	}
	if st := s.streams[err.StreamID]; st != nil {
		st.resetLocked(err.Code, &StreamError{Code: err.Code, Rule: ruleOf(err.Cause, "a frame that must not come now")})
	} else {
		s.writeResetLocked(err.StreamID, err.Code, int64(window))
	}
	return s.nuisance.count()
}

// settingsLocked handles SETTINGS (RFC 9113 section 6.5).
func (s *Session) settingsLocked(f *http2.SettingsFrame) *SessionError {
	if f.IsAck() {
		return s.settingsAckedLocked()
	}
	if f.NumSettings() > mostSettings {
		return violation(http2.ErrCodeEnhanceYourCalm, "SETTINGS have too many parameters")
	}
	var failed *SessionError
	f.ForeachSetting(func(setting http2.Setting) error {
		if failed == nil {
			failed = s.settingLocked(setting)
		}
		return nil
	})
	if failed != nil {
		return failed
	}
	s.out.framer.WriteSettingsAck()
	s.notes.changed = true
	if !s.hasSettingsLocked() {
		close(s.ready)
		return nil
	}
	return s.nuisance.count()
}

func (s *Session) settingLocked(setting http2.Setting) *SessionError {
	if err := setting.Valid(); err != nil {
		code := http2.ErrCodeProtocol
		if setting.ID == http2.SettingInitialWindowSize {
			code = http2.ErrCodeFlowControl
		}
		return violation(code, "a value of SETTINGS is invalid")
	}
	switch setting.ID {
	case http2.SettingEnablePush:
		if s.client && setting.Val != 0 {
			return violation(http2.ErrCodeProtocol, "a server enables PUSH_PROMISE")
		}
	case http2.SettingMaxConcurrentStreams:
		s.peer.MaxStreams = setting.Val
	case http2.SettingMaxFrameSize:
		s.peer.MaxFrame = setting.Val
	case http2.SettingHeaderTableSize:
		s.out.encoder.SetMaxDynamicTableSizeLimit(min(setting.Val, hpackTable))
	case http2.SettingEnableConnectProtocol:
		if s.peer.ExtendedConnect && setting.Val == 0 {
			return violation(http2.ErrCodeProtocol, "extended CONNECT is withdrawn") // RFC 8441 section 3
		}
		s.peer.ExtendedConnect = setting.Val == 1
	case http2.SettingInitialWindowSize:
		return s.initialWindowLocked(setting.Val)
	}
	return nil
}

// initialWindowLocked changes the windows of all streams (RFC 9113 section 6.9.2). They may become
// negative.
func (s *Session) initialWindowLocked(window uint32) *SessionError {
	change := int64(window) - int64(s.peer.Window)
	s.peer.Window = window
	for _, st := range s.streams {
		if st.sendWindow += change; st.sendWindow > math.MaxInt32 {
			return violation(http2.ErrCodeFlowControl, "SETTINGS make a window too large")
		}
		s.enlistLocked(st)
	}
	return nil
}

// settingsAckedLocked is called when the peer knows of our windows.
func (s *Session) settingsAckedLocked() *SessionError {
	if s.settingsAcked {
		return s.nuisance.count()
	}
	change := s.config.Window - s.initialRecvWindowLocked()
	s.settingsAcked = true
	for _, st := range s.streams {
		st.recvWindow += int64(change)
	}
	if s.config.ConnWindow == 0 {
		s.growConnWindowLocked(time.Duration(timing.Now() - s.settingsSent))
	}
	return nil
}

// growConnWindowLocked makes the receive window of the connection large enough for the round-trip
// time.
func (s *Session) growConnWindowLocked(roundTrip time.Duration) {
	enough := min(int(min(roundTrip, time.Second)*connRate/time.Second), mostConnWindow)
	if more := enough - s.connWindow; more > 0 {
		s.connWindow += more
		s.recvWindow += int64(more)
		s.out.writeWindowUpdate(0, more)
	}
}

// windowUpdateLocked handles WINDOW_UPDATE (RFC 9113 section 6.9).
func (s *Session) windowUpdateLocked(id uint32, n int64) *SessionError {
	if id == 0 {
		switch s.out.window += n; {
		case n == 0:
			return violation(http2.ErrCodeProtocol, "WINDOW_UPDATE of 0")
		case s.out.window > math.MaxInt32:
			return violation(http2.ErrCodeFlowControl, "WINDOW_UPDATE beyond the largest window")
		}
		return nil // the streams that wait send at the end of the turn
	}
	st := s.streams[id]
	switch {
	case st == nil && s.isIdleLocked(id):
		return violation(http2.ErrCodeProtocol, "WINDOW_UPDATE of a stream that was not opened")
	case st == nil:
		return nil // it has ended meanwhile
	case n == 0:
		return s.streamViolatedLocked(http2.StreamError{StreamID: id, Code: http2.ErrCodeProtocol})
	case st.sendWindow+n > math.MaxInt32:
		return s.streamViolatedLocked(http2.StreamError{StreamID: id, Code: http2.ErrCodeFlowControl})
	}
	st.sendWindow += n
	s.enlistLocked(st)
	return nil
}

// resetLocked handles RST_STREAM (RFC 9113 section 6.4).
func (s *Session) resetLocked(f *http2.RSTStreamFrame) *SessionError {
	st := s.streams[f.StreamID]
	switch {
	case st != nil:
		s.removeLocked(st)
		st.peerResetLocked(f.ErrCode)
		if s.client {
			return nil // there are no more of them than calls of Open
		}
	case s.isIdleLocked(f.StreamID):
		return violation(http2.ErrCodeProtocol, "RST_STREAM of a stream that was not opened")
	default:
		s.recent.remove(f.StreamID)
	}
	return s.nuisance.count()
}

// pingLocked handles PING (RFC 9113 section 6.7).
func (s *Session) pingLocked(f *http2.PingFrame) *SessionError {
	switch {
	case !f.IsAck():
		s.out.writePing(true, f.Data)
	case s.phase == leaving && f.Data == shutdownPing:
		s.drainLocked()
	}
	return s.nuisance.count()
}

// goAwayLocked handles GOAWAY (RFC 9113 section 6.8).
func (s *Session) goAwayLocked(f *http2.GoAwayFrame) *SessionError {
	s.goAway = &SessionError{Code: f.ErrCode, Remote: true, Rule: string(f.DebugData())}
	s.phase = max(s.phase, draining)
	s.notes.changed = true
	for id, st := range s.streams {
		if id > f.LastStreamID && id%2 == 1 == s.client {
			refused := *s.goAway
			refused.Err = ErrRefused
			delete(s.streams, id)
			st.failLocked(&refused)
		}
	}
	s.endIfDrainedLocked()
	return s.nuisance.count()
}

// beginDataLocked begins a DATA frame (RFC 9113 section 6.1). All of it counts for the windows, also
// padding, and also if its stream has ended.
func (s *Session) beginDataLocked(h frameHeader) *SessionError {
	if s.config.Trace != nil {
		s.traceHeaderLocked(h)
	}
	d := &s.parser.data
	*d = dataFrame{
		active:    true,
		stream:    s.streams[h.stream],
		remaining: h.length,
		padded:    h.flags.Has(http2.FlagDataPadded),
		endStream: h.flags.Has(http2.FlagDataEndStream),
	}
	if h.stream == 0 {
		return violation(http2.ErrCodeProtocol, "DATA has no stream")
	}
	if int64(h.length) > s.recvWindow {
		return violation(http2.ErrCodeFlowControl, "DATA beyond the window of the connection")
	}
	s.recvWindow -= int64(h.length)
	s.refundSessionLocked(h.length)
	st := d.stream
	switch {
	case st == nil && s.recent.allows(h.stream, h.length):
	case st == nil:
		if err := s.frameOnClosedLocked(h.stream); err != nil {
			return err
		}
	case st.has(remoteEnded):
		d.stream = nil
		if err := s.streamViolatedLocked(http2.StreamError{StreamID: h.stream, Code: http2.ErrCodeStreamClosed}); err != nil {
			return err
		}
	case st.isOpeningLocked():
		d.stream = nil
		if err := s.streamViolatedLocked(http2.StreamError{StreamID: h.stream, Code: http2.ErrCodeProtocol}); err != nil {
			return err
		}
	case int64(h.length) > st.recvWindow:
		d.stream = nil
		if err := s.streamViolatedLocked(http2.StreamError{StreamID: h.stream, Code: http2.ErrCodeFlowControl}); err != nil {
			return err
		}
	default:
		st.recvWindow -= int64(h.length)
	}
	if h.length == 0 && !d.endStream {
		if err := s.nuisance.count(); err != nil {
			return err
		}
	}
	if d.remaining == 0 {
		return s.endDataLocked()
	}
	return nil
}

// receiveDataLocked handles what the view has of the current DATA frame.
func (s *Session) receiveDataLocked() *SessionError {
	p := &s.parser
	d := &p.data
	if d.padded {
		d.padded = false
		d.padding = int(p.view[0])
		p.view = p.view[1:]
		if d.remaining--; d.padding > d.remaining {
			return violation(http2.ErrCodeProtocol, "the padding is longer than the frame")
		}
		d.remaining -= d.padding
		s.refundStreamLocked(d.stream, 1+d.padding)
	}
	if n := min(d.remaining, len(p.view)); n > 0 {
		payload := p.view[:n:n]
		p.view = p.view[n:]
		d.remaining -= n
		s.deliverLocked(d.stream, payload)
	}
	if n := min(d.padding, len(p.view)); d.remaining == 0 && n > 0 {
		p.view = p.view[n:]
		d.padding -= n
	}
	if d.remaining == 0 && d.padding == 0 {
		return s.endDataLocked()
	}
	return nil
}

// endDataLocked ends the current DATA frame.
func (s *Session) endDataLocked() *SessionError {
	d := s.parser.data
	s.parser.data = dataFrame{}
	if d.padded {
		return violation(http2.ErrCodeFrameSize, "a padded frame is empty")
	}
	if d.endStream && d.stream != nil && s.streams[d.stream.id] == d.stream {
		d.stream.endReceivedLocked()
	}
	return nil
}

// refundSessionLocked gives the peer back n bytes of the connection's window, at the latest when half
// of it is used.
func (s *Session) refundSessionLocked(n int) {
	if s.unrefunded += int64(n); s.unrefunded < int64(s.connWindow/2) {
		return
	}
	s.out.writeWindowUpdate(0, int(s.unrefunded))
	s.recvWindow += s.unrefunded
	s.unrefunded = 0
}

// refundStreamLocked gives the peer back n bytes of a stream's window, at the latest when half of it is
// used.
func (s *Session) refundStreamLocked(st *Stream, n int) {
	if st == nil || n == 0 {
		return
	}
	if st.unrefunded += int32(n); int(st.unrefunded) < (s.config.Window+1)/2 || st.has(remoteEnded) || s.streams[st.id] != st {
		return
	}
	s.out.writeWindowUpdate(st.id, int(st.unrefunded))
	st.recvWindow += int64(st.unrefunded)
	st.unrefunded = 0
}
