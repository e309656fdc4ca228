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

// accept returns the Sec-WebSocket-Accept with which a server proves that it has read the key (RFC
// 6455 section 4.2.2).
func (k *key) accept() (accept [28]byte) {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	var text [len(k) + len(guid)]byte
	copy(text[:], k[:])
	copy(text[len(k):], guid)
	sum := sha1.Sum(text[:])
	base64.StdEncoding.Encode(accept[:], sum[:])
	return accept
}
