package feed

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// Messages returns n messages of size bytes like those of a market data feed: JSON with the same fields in
// each, and values that change slowly.
func Messages(n, size int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	price := 60000.0
	messages := make([][]byte, n)
	for i := range messages {
		b := fmt.Appendf(nil, `{"stream":"depth","symbol":"ABCXYZ","sequence":%d,"levels":[`, 7000000+i)
		for len(b) < size {
			price += r.NormFloat64()
			b = fmt.Appendf(b, `{"side":"%s","price":"%.2f","size":"%.5f","time":%d},`,
				[]string{"buy", "sell"}[r.IntN(2)], price, r.ExpFloat64(), 1700000000000+int64(i)*50+int64(r.IntN(50)))
		}
		messages[i] = b[:size]
	}
	return messages
}

// FileSize is the size of the file in bytes, a multiple of each size of messages that is measured.
const FileSize = 1 << 20

// File returns the content of the file from which clients of all languages cut their messages.
func File() []byte {
	const each = 1 << 10
	return bytes.Join(Messages(FileSize/each, each), nil)
}
