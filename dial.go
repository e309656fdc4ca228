package websock

import (
	"context"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/endpoint"
)

// Dial is Open for a URL (RFC 6455 section 3):
//
//	ws://host:port/path?query
//	wss://host:port/path?query
//	ws+unix:///path/to.sock:/path?query   (wss+unix with TLS)
//
// http and https mean ws and wss. An international host name is looked up, verified and sent
// in Punycode; spaces and characters outside ASCII in path and query are percent-encoded. A
// user name in the URL is refused: credentials belong in Config.Header. So is a fragment, as
// the RFC says, even an empty one.
//
// cfg, which may be nil, gives the rest; its Host, Port, Path and Secure are not used. The
// error is a *HandshakeError.
func Dial(ctx context.Context, rawURL string, cfg *Config) (*engine.Conn, error) {
	if cfg == nil {
		cfg = &Config{}
	}
	to, err := endpoint.Parse(rawURL)
	if err != nil {
		return nil, &HandshakeError{Reason: "the URL can't be used", Err: err}
	}
	return open(ctx, cfg, to)
}
