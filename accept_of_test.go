package websock

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http"
)

// acceptOf computes the Sec-WebSocket-Accept for a request (RFC 6455 section
// 4.2.2).
func acceptOf(r *http.Request) string {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
