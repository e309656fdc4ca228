package bench

import (
	"fmt"
	"strings"
	"testing"
	stdlib "unicode/utf8"

	"github.com/seed004e8d11/websock/internal/utf8"
	segmentio "github.com/segmentio/asm/utf8"
)

var texts = []struct{ name, text string }{
	{"ascii", "The quick brown fox jumps over the lazy dog. "},
	{"two-byte", "приветäöü"},
	{"mixed", "aä€😀 Grüße, 日本 "},
	{"german", "Grüße aus der Küche, schöne Welt! "},
}

// repeat returns text repeated, n bytes or up to three fewer.
func repeat(text string, n int) []byte {
	p := []byte(strings.Repeat(text, n/len(text)+1))
	for p = p[:n]; !stdlib.Valid(p); p = p[:len(p)-1] {
	}
	return p
}

// BenchmarkValid validates whole texts, and compares with the standard library and
// segmentio/asm.
func BenchmarkValid(b *testing.B) {
	for _, tt := range texts {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/size=%d", tt.name, n), func(b *testing.B) {
				p := repeat(tt.text, n)
				report(b,
					contender{"Valid", func(n int) {
						for range n {
							utf8.Valid(p)
						}
					}},
					contender{"std", func(n int) {
						for range n {
							stdlib.Valid(p)
						}
					}},
					contender{"segmentio", func(n int) {
						for range n {
							segmentio.Valid(p)
						}
					}},
				)
			})
		}
	}
}

// BenchmarkValidator validates a text in pieces of 1448 bytes, as it arrives.
func BenchmarkValidator(b *testing.B) {
	const piece = 1448
	for _, tt := range texts {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/size=%d", tt.name, n), func(b *testing.B) {
				p := repeat(tt.text, n)
				report(b,
					contender{"Validator", func(n int) {
						for range n {
							var v utf8.Validator
							for p := p; len(p) > 0; p = p[min(len(p), piece):] {
								v.Write(p[:min(len(p), piece)])
							}
							v.Complete()
						}
					}},
					contender{"std-whole", func(n int) {
						for range n {
							stdlib.Valid(p)
						}
					}},
				)
			})
		}
	}
}
