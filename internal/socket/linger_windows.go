package socket

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// lingerOf returns the SO_LINGER of a socket. A close that lingers waits on Windows, too: Go's sockets
// block, and only their reads and writes are overlapped.
func lingerOf(fd uintptr) (on bool, seconds int) {
	var linger struct{ onoff, seconds uint16 } // LINGER of winsock2.h, which windows.Linger is not
	size := int32(unsafe.Sizeof(linger))
	err := windows.Getsockopt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_LINGER, (*byte)(unsafe.Pointer(&linger)), &size)
	return err == nil && linger.onoff != 0, int(linger.seconds)
}
