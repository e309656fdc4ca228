package handshake

import (
	"encoding/base64"
	"testing"
)

func TestAcceptIsThatOfTheRFC(t *testing.T) {
	k := key([]byte("dGhlIHNhbXBsZSBub25jZQ==")) // RFC 6455 section 1.3
	if got := k.accept(); string(got[:]) != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("%s", got)
	}
}

func TestKeysAreDifferent(t *testing.T) {
	seen := map[key]bool{}
	for range 100 {
		k := newKey()
		if nonce, err := base64.StdEncoding.DecodeString(string(k[:])); len(nonce) != 16 || err != nil || seen[k] {
			t.Fatalf("%s: %d bytes, %v", k, len(nonce), err)
		}
		seen[k] = true
	}
}
