//go:build !unix

package socket

import "net"

// NeverWait does nothing: where sockets don't block, closing one doesn't wait.
func NeverWait(net.Conn) {}
