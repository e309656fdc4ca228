package main

// A standing is how a crew stands at a time.
type standing struct {
	Up         int64 `json:"up"` // connections
	Sent       int64 `json:"sent"`
	Received   int64 `json:"received"`
	Errors     int64 `json:"errors"`
	Reconnects int64 `json:"reconnects"`
}

func (s *standing) add(other standing) {
	s.Up += other.Up
	s.Sent += other.Sent
	s.Received += other.Received
	s.Errors += other.Errors
	s.Reconnects += other.Reconnects
}
