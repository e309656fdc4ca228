package bench

import (
	"fmt"
	"math/rand/v2"
)

// feed returns n messages of size bytes as a client of market data gets them: JSON, the same
// fields in each, values that differ a little from the last ones.
func feed(n, size int) [][]byte {
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
