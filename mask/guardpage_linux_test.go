package mask

import (
	"syscall"
	"testing"
)

// page returns one page of memory between two that fault when touched.
func page(t *testing.T) []byte {
	size := syscall.Getpagesize()
	m, err := syscall.Mmap(-1, 0, 3*size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	for _, guard := range [][]byte{m[:size], m[2*size:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return m[size : 2*size : 2*size]
}

// A kernel that touched a byte before the first or after the last would crash.
func TestKernelsStayWithinTheirPages(t *testing.T) {
	dst, src := page(t), page(t)
	for _, k := range kernels() {
		t.Run(k.name, func(t *testing.T) {
			for n := 1; n <= len(src); n++ {
				last := len(src) - n
				for pos := range 4 {
					k.apply(&dst[0], &src[last], n, testKey, pos)
					k.apply(&dst[last], &src[0], n, testKey, pos)
					k.apply(&dst[0], &dst[0], n, testKey, pos)
					k.apply(&dst[last], &dst[last], n, testKey, pos)
				}
			}
		})
	}
}
