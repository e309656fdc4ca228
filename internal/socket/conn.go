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
