// Package transporttest tests that a transport keeps the promises of package transport. Every
// transport of this module passes it; it is meant as well for transports in other modules. It uses
// nothing of a transport but its Factory:
//
//	func TestTransport(t *testing.T) {
//		suite := transporttest.Suite{Factory: mine.Transport(), Networks: []string{"tcp"}}
//		t.Run("ws", suite.Run)
//		suite.TLS = tls.VersionTLS13
//		t.Run("wss", suite.Run)
//	}
//
// The tests make connections of this machine to itself and attach the transport to both ends, below
// a websock.Conn. A transport that only implements transport.Conn is tested with Recv and blocking
// sends. The tests that need a Handler are skipped unless it is a transport.Pusher, and those that
// need sends that do not block unless it is a transport.Queue; the output of go test -v says which.
//
// Timing is tested too. A test that fails only now and then has usually found a race in the
// transport: run it with -race and -count.
package transporttest
