package bench

import (
	"fmt"
	"testing"

	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
)

var fusedSizes = []int{16, 64, 125, 512, 4 << 10, 16 << 10, 64 << 10, 256 << 10}

// BenchmarkUnmask unmasks and validates text, as a server does, and compares with two
// passes: over the whole text, and over chunks that fit in the L1 cache.
func BenchmarkUnmask(b *testing.B) {
	var plain [4]byte // keeps the text unchanged
	for _, tt := range texts {
		for _, n := range fusedSizes {
			b.Run(fmt.Sprintf("%s/size=%d", tt.name, n), func(b *testing.B) {
				p := repeat(tt.text, n)
				report(b,
					contender{"Unmask", func(n int) {
						for range n {
							var v utf8.Validator
							v.Unmask(p, plain, 0)
						}
					}},
					contender{"two-passes", func(n int) {
						for range n {
							var v utf8.Validator
							mask.XOR(p, plain, 0)
							v.Write(p)
						}
					}},
					contender{"chunks", func(n int) {
						const chunk = 16 << 10
						for range n {
							var v utf8.Validator
							pos := 0
							for p := p; len(p) > 0; p = p[min(len(p), chunk):] {
								pos = mask.XOR(p[:min(len(p), chunk)], plain, pos)
								v.Write(p[:min(len(p), chunk)])
							}
						}
					}},
				)
			})
		}
	}
}

// BenchmarkCopyText copies and validates text, as a client does, and compares with two
// passes.
func BenchmarkCopyText(b *testing.B) {
	for _, tt := range texts {
		for _, n := range fusedSizes {
			b.Run(fmt.Sprintf("%s/size=%d", tt.name, n), func(b *testing.B) {
				src := repeat(tt.text, n)
				dst := make([]byte, len(src))
				report(b,
					contender{"Copy", func(n int) {
						for range n {
							var v utf8.Validator
							v.Copy(dst, src)
						}
					}},
					contender{"two-passes", func(n int) {
						for range n {
							var v utf8.Validator
							copy(dst, src)
							v.Write(dst)
						}
					}},
					contender{"chunks", func(n int) {
						const chunk = 16 << 10
						for range n {
							var v utf8.Validator
							for dst, src := dst, src; len(src) > 0; {
								n := copy(dst, src[:min(len(src), chunk)])
								v.Write(dst[:n])
								dst, src = dst[n:], src[n:]
							}
						}
					}},
				)
			})
		}
	}
}
