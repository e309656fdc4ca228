//go:build !unix

package std

import (
	"net"
	"syscall"
)

// rawConn returns nil: sockets are used through net.Conn. Therefore nothing calls what follows.
func rawConn(net.Conn) syscall.RawConn { return nil }

func (c *Conn) tryRead(uintptr) bool { return true }

func (p *pump) readAvailable(uintptr) bool { return true }

func (c *Conn) writeDirectly([]byte) (int, error) { return 0, nil }

func (w *pendingWrite) writeAvailable(uintptr) bool { return true }

func (c *Conn) shutdown() {}
