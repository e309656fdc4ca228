package socket

import "net"

// HasDescriptor reports whether conn is a socket of the system, TCP or Unix, and nothing over
// one.
func HasDescriptor(conn net.Conn) bool {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// A TLSWire is the net.Conn that package transport/tls puts between a tls.Conn and the connection
// below. Its Close only closes that connection.
type TLSWire interface {
	net.Conn

	// BelowTLS returns the connection below, or nil if there is none any more.
	BelowTLS() net.Conn
}
