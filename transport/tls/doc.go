// Package tls carries connections over TLS, for wss URLs (RFC 6455 section 3). The encryption is
// that of crypto/tls.
//
// # Configuration
//
// A client verifies the server's certificate for the host that it connects to, and sends the name
// of that host in the handshake (SNI), unless its tls.Config has a ServerName. With ALPN it offers
// the protocols that are given to [Client], whatever NextProtos contains: by default only http/1.1,
// which the opening handshake of RFC 6455 needs. Renegotiation is always off. The caller's
// tls.Config is cloned, and never modified.
//
// Clients resume TLS sessions. That saves most of the computation of a handshake and, with TLS 1.2,
// a round trip. The process keeps the 512 sessions that were used last, of about 1 KiB each beside
// the servers' certificates. A session is resumed only for the same host, with the same
// *tls.Config and the same protocols. A ClientSessionCache in the tls.Config replaces this cache. A tls.Config with
// SessionTicketsDisabled, VerifyPeerCertificate or GetClientCertificate resumes nothing.
//
// # Over another transport
//
// [Client], [Server] and [NewListener] return connections of crypto/tls, which can be used like any
// other. Once the handshake is complete, such a connection can also be moved to another transport:
// [NetConn] returns the connection underneath, for the caller to make a transport from, and [New]
// makes the tls.Conn read from and write to that transport. The result is itself a transport. If
// the inner transport is driven by events, no goroutine waits for the connection. Session tickets
// and key updates are still handled by crypto/tls.
//
// An idle connection holds no buffers but those of its tls.Conn, whose input buffer is as large as
// the largest record received. Plaintext is decrypted into a pooled buffer, which is returned to
// the pool when the plaintext has been consumed. The records of a Writev are passed to the inner
// transport in one write, or in one for every 240 KiB. Writing allocates nothing, and reading
// nothing but what crypto/tls allocates: one small object for each read from the inner transport.
//
// # The end of a stream
//
// A stream that ends without a close_notify alert may have been truncated by an attacker (RFC 8446
// section 6.1). Its end is reported as io.ErrUnexpectedEOF. A tls.Conn would report io.EOF if the
// stream ends between two records.
package tls
