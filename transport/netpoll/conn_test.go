//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	stdtls "crypto/tls"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed004e8d11/websock/internal/leak"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/transporttest"
)

// suite is the suite that every transport passes.
var suite = transporttest.Suite{Factory: Transport(), Networks: []string{"tcp", "unix"}}

// TestMain looks for goroutines left behind. netpoll's pollers stay until the process ends.
func TestMain(m *testing.M) {
	leak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"))
}

func TestTransport(t *testing.T) { suite.Run(t) }

func BenchmarkEcho(b *testing.B) { suite.Benchmark(b) }

func TestTransportOverTLS(t *testing.T) {
	for _, version := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		if race.Enabled && version == stdtls.VersionTLS12 {
			continue // the goroutines are the same
		}
		t.Run(stdtls.VersionName(version), func(t *testing.T) {
			s := suite
			s.TLS = version
			s.Run(t)
		})
	}
}

func TestAddressesAreKnownAfterCloseAndReadsTimeOut(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		client, server := netpair.Sockets(t, network)
		local, remote := client.LocalAddr().String(), client.RemoteAddr().String()
		tr := attached(t, client, nil)
		tr.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := tr.View(); err != os.ErrDeadlineExceeded {
			t.Errorf("%v", err)
		}
		if _, err := tr.Read(make([]byte, 1)); err != os.ErrDeadlineExceeded {
			t.Errorf("%v", err)
		}
		tr.Close()
		server.Close()
		if l, r := tr.LocalAddr().String(), tr.RemoteAddr().String(); l != local || r != remote {
			t.Errorf("%q and %q, want %q and %q", l, r, local, remote)
		}
	})
}
