package mask

import (
	"testing"

	"github.com/seed004e8d11/websock/internal/guardpage"
)

// A kernel that accesses a byte before the first or after the last crashes.
func TestKernelsStayWithinTheirPages(t *testing.T) {
	dst, src := guardpage.New(t), guardpage.New(t)
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
