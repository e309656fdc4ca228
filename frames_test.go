package websock

import (
	"errors"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/frametest"
)

// The notation of frames in the tests of this package.
var (
	frame        = frametest.Frame
	frames       = frametest.Frames
	unframe      = frametest.Unframe
	closePayload = frametest.ClosePayload
)

// everyByte cuts a stream after every byte.
func everyByte(stream []byte) [][]byte {
	var chunks [][]byte
	for i := range stream {
		chunks = append(chunks, stream[i:i+1:i+1])
	}
	return chunks
}

// clone copies a stream, since the server role unmasks it in place.
func clone(b []byte) []byte { return append([]byte(nil), b...) }

// What a server can break, as the Decoder reports it: always the same values.
var (
	errReservedBits      = violation(Compression{}, "\xc1\x00")
	errMessageUnfinished = violation(Compression{}, "\x01\x00\x81\x00")
	errNothingToContinue = violation(Compression{}, "\x80\x00")
	errNotUTF8           = violation(Compression{}, "\x81\x01\xff")
	errNotDeflated       = violation(DefaultCompression, "\xc2\x01\x07")
)

// violation returns the error that a client's Decoder finds in a stream.
func violation(z Compression, stream string) *ProtocolError {
	limits := engine.Limits{}.WithDefaults()
	d := new(engine.Decoder)
	d.Init(Client, &limits, engine.NewPerMessageDeflate(z))
	for src := []byte(stream); ; {
		e, n, err := d.Next(src)
		var broken *ProtocolError
		switch {
		case errors.As(err, &broken):
			return broken
		case err != nil || e.Kind == engine.EventNone:
			panic("nothing is wrong with " + stream)
		}
		src = src[n:]
	}
}
