package std_test

import (
	stdtls "crypto/tls"
	"flag"
	"runtime"
	"testing"

	"github.com/seed004e8d11/websock/internal/leak"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/transporttest"
)

var suite = transporttest.Suite{
	Factory:  std.Transport(),
	Networks: []string{"tcp", "unix", "pipe"},
	NoPoll:   runtime.GOOS == "windows",
	Parallel: !race.Enabled, // with which some tests would take longer than their timeouts
}

func TestTransport(t *testing.T) { suite.Run(t) }

func TestTransportOverTLS(t *testing.T) {
	s := suite
	s.TLS = stdtls.VersionTLS13
	s.Networks = []string{"tcp", "unix"}
	s.Run(t)
}

// Connections of crypto/tls that package transport/tls did not make.
func TestTransportOverForeignTLS(t *testing.T) {
	s := suite
	s.TLS, s.CryptoTLS = stdtls.VersionTLS13, true
	s.Networks = []string{"tcp", "unix"}
	s.NoPoll = true
	s.Run(t)
}

func TestTransportWithoutDeadlines(t *testing.T) {
	s := suite
	s.Networks = []string{"tunnel"}
	s.EchoAllocs = 100 // for the goroutines of reads and writes
	t.Run("ws", s.Run)
	if race.Enabled {
		return // over TLS it would take long, and the goroutines are the same
	}
	s.TLS = stdtls.VersionTLS13
	t.Run("wss", s.Run)
}

func BenchmarkEcho(b *testing.B) { suite.Benchmark(b) }

func TestMain(m *testing.M) {
	flag.Set("test.parallel", "6") // unless the command line sets it: most tests only wait
	leak.VerifyTestMain(m)
}
