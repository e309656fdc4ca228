package transporttest_test

import (
	"testing"

	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/transporttest"
)

// In the package of the transport this is a test: func TestTransport(t *testing.T).
func ExampleSuite() {
	_ = func(t *testing.T) {
		transporttest.Suite{
			Factory:  std.Transport(),
			Networks: []string{"tcp", "unix"},
		}.Run(t)
	}
}
