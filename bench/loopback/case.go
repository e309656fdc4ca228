//go:build linux

package loopback

import (
	"fmt"

	"github.com/seed004e8d11/websock/bench/client"
	"github.com/seed004e8d11/websock/bench/server"
)

// A Kind is what the connections of a case do.
type Kind string

const (
	Echo      Kind = "echo"      // one message in flight on each
	Pipelined Kind = "pipelined" // several messages in flight on each
	Broadcast Kind = "broadcast" // the server sends one to each, repeatedly
	Idle      Kind = "idle"      // none, after each has received one, or a server has echoed one on each
	Dial      Kind = "dial"      // only the opening handshakes are measured
	Beside    Kind = "beside"    // as Echo, and small messages beside them are measured
	Stalled   Kind = "stalled"   // as Echo, without and with one more that receives nothing
)

// A Case is the work that contestants are compared by.
type Case struct {
	Kind   Kind
	Secure bool // wss
	Conns  int
	Window int  // messages in flight on each connection
	Size   int  // of a message's payload, in bytes; 0: messageSize
	Shared int  // how many share a connection, if the contestant can: HTTP/2; 0: they don't
	Server bool // servers are compared, by one client: raw, or websock's if WebSockets share connections
	Long   bool

	Resumed     bool               // TLS sessions are resumed
	Compression client.Compression // of messages of package feed; "": client.None
}

// Scheme returns the scheme of the URL.
func (c Case) Scheme() string {
	if c.Secure {
		return "wss"
	}
	return "ws"
}

// String returns the name of the case.
func (c Case) String() string {
	s := fmt.Sprintf("%s/%s/conns=%d", c.Kind, c.Scheme(), c.Conns)
	if c.Server {
		s = "server/" + s
	}
	if c.Kind == Pipelined {
		s += fmt.Sprintf("x%d", c.Window)
	}
	if c.Size > 0 {
		s += fmt.Sprintf("/size=%d", c.Size)
	}
	if c.Shared > 0 {
		s += fmt.Sprintf("/shared=%d", c.Shared)
	}
	if c.Resumed {
		s += "/resumed"
	}
	if c.compresses() {
		s += "/" + string(c.Compression)
	}
	return s
}

func (c Case) compresses() bool { return c.Compression != "" && c.Compression != client.None }

// path returns the path that clients request.
func (c Case) path() string {
	switch c.Compression {
	case client.Takeover:
		return server.TakeoverPath
	case client.Fresh:
		return server.FreshPath
	}
	return "/"
}

// timesMessages reports whether the client measures the times of single messages.
func (c Case) timesMessages() bool { return c.Kind == Beside || c.Kind == Stalled }

// compressing is the number of connections that compress. It has no divisor in common with the number of
// messages in the file they are cut from, or each connection would send the same few again and again, which
// are then found in the window.
const compressing = 61

// Cases has all cases.
var Cases = []Case{
	{Kind: Echo, Conns: 1, Window: 1},
	{Kind: Echo, Conns: 64, Window: 1},
	{Kind: Echo, Conns: 1000, Window: 1},
	{Kind: Echo, Conns: 10000, Window: 1, Long: true},
	{Kind: Echo, Conns: 64, Window: 1, Secure: true},
	{Kind: Echo, Conns: 1000, Window: 1, Secure: true, Long: true},
	{Kind: Echo, Conns: 64, Window: 1, Size: 64 << 10, Long: true},
	{Kind: Echo, Conns: compressing, Window: 1, Size: 1 << 10, Compression: client.Takeover, Long: true},
	{Kind: Echo, Conns: compressing, Window: 1, Size: 1 << 10, Compression: client.Fresh, Long: true},
	{Kind: Echo, Conns: compressing, Window: 1, Size: 16 << 10, Compression: client.Takeover, Long: true},
	{Kind: Echo, Conns: compressing, Window: 1, Size: 16 << 10, Compression: client.Fresh, Long: true},
	{Kind: Pipelined, Conns: 1, Window: 64},
	{Kind: Pipelined, Conns: 64, Window: 16},
	{Kind: Pipelined, Conns: 64, Window: 16, Secure: true, Long: true},
	{Kind: Broadcast, Conns: 1000},
	{Kind: Broadcast, Conns: 10000, Long: true},
	{Kind: Idle, Conns: 1000},
	{Kind: Idle, Conns: 10000, Long: true},
	{Kind: Idle, Conns: 4000, Secure: true, Long: true},
	{Kind: Dial, Conns: 2000, Long: true},
	{Kind: Dial, Conns: 500, Secure: true, Long: true},
	{Kind: Dial, Conns: 500, Secure: true, Resumed: true, Long: true},

	{Server: true, Kind: Echo, Conns: 1, Window: 1, Long: true},
	{Server: true, Kind: Echo, Conns: 64, Window: 1},
	{Server: true, Kind: Echo, Conns: 1000, Window: 1},
	{Server: true, Kind: Echo, Conns: 5000, Window: 1, Long: true},
	{Server: true, Kind: Echo, Conns: 10000, Window: 1, Long: true},
	{Server: true, Kind: Pipelined, Conns: 64, Window: 16},
	{Server: true, Kind: Broadcast, Conns: 1000},
	{Server: true, Kind: Broadcast, Conns: 10000, Long: true},
	{Server: true, Kind: Idle, Conns: 1000},
	{Server: true, Kind: Idle, Conns: 5000, Long: true},
	{Server: true, Kind: Idle, Conns: 10000, Long: true},

	{Server: true, Kind: Echo, Conns: 1000, Window: 1, Shared: 100, Long: true},
	{Server: true, Kind: Echo, Conns: 10000, Window: 1, Shared: 100, Long: true},
	{Server: true, Kind: Broadcast, Conns: 1000, Shared: 100, Long: true},
	{Server: true, Kind: Broadcast, Conns: 10000, Shared: 100, Long: true},
	{Server: true, Kind: Idle, Conns: 1000, Shared: 100, Long: true},
	{Server: true, Kind: Idle, Conns: 10000, Shared: 100, Long: true},

	{Kind: Idle, Conns: 10000, Secure: true, Shared: 10, Long: true},
	{Kind: Idle, Conns: 10000, Secure: true, Shared: 100, Long: true},
	{Kind: Idle, Conns: 10000, Secure: true, Shared: 1000, Long: true},
	{Kind: Idle, Conns: 10000, Shared: 100, Long: true},
	{Kind: Dial, Conns: 2000, Secure: true, Shared: 100, Long: true},
	{Kind: Dial, Conns: 2000, Shared: 100, Long: true},
	{Kind: Echo, Conns: 100, Window: 1, Secure: true, Shared: 1, Long: true},
	{Kind: Echo, Conns: 100, Window: 1, Shared: 1, Long: true},
	{Kind: Echo, Conns: 1000, Window: 1, Secure: true, Shared: 10, Long: true},
	{Kind: Echo, Conns: 1000, Window: 1, Shared: 10, Long: true},
	{Kind: Echo, Conns: 10000, Window: 1, Secure: true, Shared: 100, Long: true},
	{Kind: Echo, Conns: 10000, Window: 1, Shared: 100, Long: true},
	{Kind: Echo, Conns: 20, Window: 1, Secure: true, Size: 64 << 10, Shared: 1, Long: true},
	{Kind: Echo, Conns: 20, Window: 1, Size: 64 << 10, Shared: 1, Long: true},
	{Kind: Echo, Conns: 20, Window: 1, Secure: true, Size: 64 << 10, Shared: 10, Long: true},
	{Kind: Echo, Conns: 20, Window: 1, Size: 64 << 10, Shared: 10, Long: true},
	{Kind: Echo, Conns: 20, Window: 1, Secure: true, Size: 1 << 20, Shared: 1, Long: true},
	{Kind: Echo, Conns: 20, Window: 1, Size: 1 << 20, Shared: 1, Long: true},
	{Kind: Echo, Conns: 20, Window: 1, Secure: true, Size: 1 << 20, Shared: 10, Long: true},
	{Kind: Echo, Conns: 20, Window: 1, Size: 1 << 20, Shared: 10, Long: true},
	{Kind: Beside, Conns: 20, Window: 1, Secure: true, Size: 1 << 20, Shared: 21, Long: true},
	{Kind: Beside, Conns: 20, Window: 1, Size: 1 << 20, Shared: 21, Long: true},
	{Kind: Stalled, Conns: 100, Window: 1, Secure: true, Shared: 101, Long: true},
	{Kind: Stalled, Conns: 100, Window: 1, Shared: 101, Long: true},
}
