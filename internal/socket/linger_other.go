//go:build !unix && !windows

package socket

import "net"

// DisableLinger does nothing: where sockets don't block, closing one doesn't wait.
func DisableLinger(net.Conn) {}
