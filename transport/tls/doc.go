// Package tls secures connections with crypto/tls, for wss (RFC 6455 section
// 3).
//
// The peer's certificate must be valid for the host that was dialled, which is
// also the name sent in the handshake (SNI), unless the caller's tls.Config says
// otherwise. The protocol agreed through ALPN is http/1.1, the one that the
// opening handshake needs. Renegotiation stays off. A caller's tls.Config is
// copied, never written to.
package tls
