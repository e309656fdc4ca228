package handshake

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
)

// A key is the value of a Sec-WebSocket-Key: 16 bytes in base64 (RFC 6455 section 4.1).
type key [24]byte

// newKey returns a random key.
func newKey() (k key) {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	base64.StdEncoding.Encode(k[:], nonce[:])
	return k
}

// accept returns the Sec-WebSocket-Accept with which a server proves that it has read the key.
func (k *key) accept() [28]byte { return acceptOf(k[:]) }

// acceptOf returns the Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2).
func acceptOf(k []byte) (accept [28]byte) {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	text := make([]byte, 0, len(key{})+len(guid))
	text = append(text, k...)
	sum := sha1.Sum(append(text, guid...))
	base64.StdEncoding.Encode(accept[:], sum[:])
	return accept
}
