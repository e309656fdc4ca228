// Package tls secures connections with crypto/tls, for wss (RFC 6455 section
// 3).
//
// The peer's certificate must be valid for the host that was dialled, which is
// also the name sent in the handshake (SNI), unless the caller's tls.Config says
// otherwise. The protocol that a client asks for through ALPN is http/1.1, the one that the
// opening handshake needs, whatever NextProtos says. Renegotiation stays off. A caller's
// tls.Config is copied, never written to.
//
// Clients resume TLS sessions, which saves most of a handshake's computing and, with TLS 1.2,
// a round trip: the process keeps the last 512, of about 1 KiB each beside the servers' certificates.
// A session is resumed only for the host and with the very tls.Config that it was made with. A
// ClientSessionCache in the tls.Config takes the place of this; SessionTicketsDisabled, a
// VerifyPeerCertificate and a GetClientCertificate switch it off.
//
// # Over other transports
//
// Client, Server and NewListener make connections of crypto/tls that can be used as any
// other. But they can also be moved to a transport, once the handshake is done: NetConn
// tells the connection underneath, which is given to the transport, or its descriptor is,
// and New makes the tls.Conn read from there and write to there, and is a transport in
// turn. Where the transport is driven by events no goroutine waits any more. It is the
// crypto/tls of the standard library that encrypts, session tickets and key updates
// included.
//
// An idle connection holds no buffer but those that the tls.Conn has itself: its input
// has the size of the largest record that came. Plaintext is decrypted into a buffer that
// is borrowed until it is consumed. The records of a Writev leave together, those of at most
// 240 KiB at once. Beside what crypto/tls allocates, which is one small object for every read
// from the transport underneath, nothing is.
//
// Not every stream that ends without a close_notify is an attack, but it can be one (RFC
// 8446 section 6.1): it is an io.ErrUnexpectedEOF, where a tls.Conn says io.EOF if the cut
// is between two records.
package tls
