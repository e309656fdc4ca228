package mask_test

import (
	"fmt"

	"github.com/seed004e8d11/websock/mask"
)

// The masked "Hello" of RFC 6455, section 5.7, unmasked as it arrives in two
// pieces.
func ExampleXOR() {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	payload := []byte{0x7f, 0x9f, 0x4d, 0x51, 0x58}

	pos := mask.XOR(payload[:3], key, 0)
	mask.XOR(payload[3:], key, pos)
	fmt.Printf("%s\n", payload)
	// Output: Hello
}

// A client masks into a buffer of its own, and the caller's payload stays as it
// was.
func ExampleCopy() {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	payload := []byte("Hello")
	frame := append(make([]byte, 0, 16), 0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d)

	frame = frame[:len(frame)+len(payload)]
	mask.Copy(frame[6:], payload, key, 0)
	fmt.Printf("% x, %s\n", frame, payload)
	// Output: 81 85 37 fa 21 3d 7f 9f 4d 51 58, Hello
}

func ExampleNewKey() {
	key := mask.NewKey() // one for every frame
	fmt.Println(len(key))
	// Output: 4
}
