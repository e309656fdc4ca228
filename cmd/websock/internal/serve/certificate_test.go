package serve

import (
	"crypto/tls"
	"testing"
)

func TestCertificateIsForLoopbackAndTheHost(t *testing.T) {
	for _, host := range []string{"127.0.0.2", "::2", "feed.example", "", "127.0.0.1", "localhost"} {
		c, err := NewCertificate(host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Remove()
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{host, "localhost", "127.0.0.1", "::1"} {
			if err := pair.Leaf.VerifyHostname(name); name != "" && err != nil {
				t.Errorf("made for %q: %v", host, err)
			}
		}
	}
}
