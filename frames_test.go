package websock

import "github.com/seed004e8d11/websock/internal/frametest"

// The notation of frames in the tests of this package.
var (
	frame        = frametest.Frame
	frames       = frametest.Frames
	unframe      = frametest.Unframe
	closePayload = frametest.ClosePayload
)
