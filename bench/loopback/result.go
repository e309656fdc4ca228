//go:build linux

package loopback

import "github.com/seed004e8d11/websock/bench/client"

// Result is what a run took.
type Result struct {
	client.Cost       // not of Idle
	BytesPerConn      float64
	GoroutinesPerConn float64
	Error             string
}

func (r Result) perMessage(x float64) float64 { return x / float64(r.Messages) }

// MicrosPerMessage is processor time, in microseconds.
func (r Result) MicrosPerMessage() float64 { return r.perMessage(r.CPU.Seconds() * 1e6) }

// Rate is messages in a second.
func (r Result) Rate() float64 { return float64(r.Messages) / r.Time.Seconds() }

// ReadsPerMessage counts system calls.
func (r Result) ReadsPerMessage() float64 { return r.perMessage(float64(r.Reads)) }

// WritesPerMessage counts system calls.
func (r Result) WritesPerMessage() float64 { return r.perMessage(float64(r.Writes)) }

// AllocsPerMessage counts those on the heap.
func (r Result) AllocsPerMessage() float64 { return r.perMessage(float64(r.Allocs)) }
