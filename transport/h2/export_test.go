package h2

import "time"

// Unread makes p what is received first.
func (st *Stream) Unread(p []byte) {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if st.in == nil {
		st.in = &input{}
	}
	later := st.in.kept.list
	st.in.kept.list = nil
	st.in.add(p)
	st.in.kept.list = append(st.in.kept.list, later...)
}

// SkipTo makes id the number of the next stream.
func (s *Session) SkipTo(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID = id
}

// GrowConnWindow does what the answer to our SETTINGS does that has taken roundTrip.
func (s *Session) GrowConnWindow(roundTrip time.Duration) {
	s.lock()
	defer s.unlock()
	s.growConnWindowLocked(roundTrip)
	s.commitLocked()
}

// PretendQueued makes the stream believe that n bytes are queued.
func (st *Stream) PretendQueued(n int32) { st.queued.Store(n) }
