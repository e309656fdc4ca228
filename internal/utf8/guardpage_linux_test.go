package utf8

import (
	"bytes"
	"syscall"
	"testing"

	"github.com/seed004e8d11/websock/internal/guardpage"
)

// A kernel that accesses a byte before the first or after the last crashes.
func TestKernelsStayWithinTheirPages(t *testing.T) {
	for _, tt := range texts {
		text, at, other := repeat(tt.text, syscall.Getpagesize()), guardpage.New(t), guardpage.New(t)
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
