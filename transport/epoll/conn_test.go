//go:build linux

package epoll

import (
	"testing"

	"github.com/seed004e8d11/websock/internal/transporttest"
	"go.uber.org/goleak"
)

var suite = transporttest.Suite{Attach: Transport().Attach, Networks: []string{"tcp", "unix"}}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTransport(t *testing.T) { suite.Run(t) }

func BenchmarkEcho(b *testing.B) { suite.Benchmark(b) }
