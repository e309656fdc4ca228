package engine

// Abort ends the connection at once, without a closing handshake: what was sent and has not
// left is lost, and the peer sees the stream end (RFC 6455 section 7.1.7 calls it failing the
// connection). Receives and sends return, and OnClose gets, a *CloseError with CloseAbnormal,
// Local set and cause in its chain; nil stands for ErrClosed. After Close or the end of the
// connection it does nothing but cut Close's wait short.
//
// It may be called from any goroutine, also in a Handler, and waits for nothing: neither for
// a Handler that is at work nor for the peer. After it no OnData is called, only OnClose; when
// it comes from another goroutine, an OnData that is being called is the last one.
func (c *Conn) Abort(cause error) {
	if cause == nil {
		cause = ErrClosed
	}
	how := &CloseError{Code: CloseAbnormal, Local: true, Err: cause}
	s := &c.send
	s.mu.Lock()
	c.receive.stop.Or(stopAbort)
	if s.closing == nil && s.err == nil {
		s.closing = how
	}
	s.corked = false
	s.end(how)
	s.tell()
	s.mu.Unlock()
	c.t.Close()
}
