//go:build linux

package epoll

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/seed004e8d11/websock/transport/transporttest"
)

var suite = transporttest.Suite{Factory: Transport(), Networks: []string{"tcp", "unix"}}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTransport(t *testing.T) { suite.Run(t) }

func BenchmarkEcho(b *testing.B) { suite.Benchmark(b) }
