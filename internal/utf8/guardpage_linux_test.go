package utf8

import (
	"bytes"
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
	for _, tt := range texts {
		text, at, other := repeat(tt.text, syscall.Getpagesize()), page(t), page(t)
		forEachKernel(t, func(t *testing.T) {
			for n := range text {
				begin, end := at[:n], at[len(at)-n:]
				copy(begin, text)
				want := cut(begin) == 0
				if Valid(begin) != want {
					t.Fatalf("%s, %d bytes: %v", tt.name, n, !want)
				}
				copy(end, text)
				if Valid(end) != want {
					t.Fatalf("%s, %d bytes: %v", tt.name, n, !want)
				}
				var v Validator
				if v.Copy(other[:n], end); v.Complete() != want {
					t.Fatalf("%s, %d bytes copied: %v", tt.name, n, !want)
				}
				v.Reset()
				if v.Unmask(other[len(other)-n:], testKey, 0); n > 0 && bytes.Equal(other[len(other)-n:], end) {
					t.Fatalf("%s, %d bytes: not unmasked", tt.name, n)
				}
			}
		})
	}
}
