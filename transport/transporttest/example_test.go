package transporttest_test

import (
	"crypto/tls"
	"testing"

	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/transporttest"
)

// In the package of the transport this is a test: func TestTransport(t *testing.T).
func ExampleSuite() {
	_ = func(t *testing.T) {
		suite := transporttest.Suite{
			Factory:  std.Transport(), // or that of another transport
			Networks: []string{"tcp", "unix"},
		}
		t.Run("ws", suite.Run)
		suite.TLS = tls.VersionTLS13
		t.Run("wss", suite.Run)
	}
}
