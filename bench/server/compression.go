//go:build linux

package server

import "bytes"

// Paths on which the server accepts permessage-deflate if a client offers it. It echoes frames as they are,
// so the client decompresses what it has compressed itself, and the server does neither.
const (
	// TakeoverPath is for context takeover in both directions: both have the same bytes, so the client's
	// own history is that of the messages it receives.
	TakeoverPath = "/takeover"

	// FreshPath is for no context takeover in either direction.
	FreshPath = "/fresh"
)

// fresh has the parameters on FreshPath.
const fresh = "; server_no_context_takeover; client_no_context_takeover"

// appendExtension appends the header field that accepts an offer on one of these paths.
func appendExtension(out []byte, path string, request []byte) []byte {
	offer := headerValue(request, "sec-websocket-extensions")
	if !compresses(path) || !bytes.Contains(offer, []byte("permessage-deflate")) {
		return out
	}
	out = append(out, "\r\nSec-WebSocket-Extensions: permessage-deflate"...)
	if path == FreshPath {
		out = append(out, fresh...)
	}
	if bytes.Contains(offer, []byte("server_max_window_bits=15")) { // an answer must repeat it
		out = append(out, "; server_max_window_bits=15"...)
	}
	return out
}

func compresses(path string) bool { return path == TakeoverPath || path == FreshPath }
