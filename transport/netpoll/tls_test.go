//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	stdtls "crypto/tls"
	"testing"

	"github.com/seed004e8d11/websock/internal/netpair"
)

func TestTransportOverTLS(t *testing.T) {
	for _, version := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		t.Run(stdtls.VersionName(version), func(t *testing.T) {
			s := suite
			s.Secure = netpair.SecuredBy(version)
			s.Allocates = 4 // by crypto/tls
			s.Run(t)
		})
	}
}
