package mask

import "unsafe"

func kernels() []kernel {
	return []kernel{{"portable", xorPortable, copyPortable}}
}

func uintptrOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
