package engine_test

import (
	"fmt"

	"github.com/seed004e8d11/websock/engine"
)

// The Decoder does no I/O: the bytes may come from anywhere, split anywhere.
func ExampleDecoder() {
	d := engine.NewDecoder(engine.Client, engine.Limits{})
	for _, chunk := range []string{"\x81", "\x05He", "llo\x89\x02hi\x82\x00"} {
		src := []byte(chunk)
		for {
			event, n, err := d.Next(src)
			if err != nil {
				fmt.Println(err)
				return
			}
			src = src[n:]
			if event.Kind == engine.EventNone {
				break
			}
			fmt.Printf("%v of %v frame: %q\n", event.Kind, event.Header.Opcode, event.Payload)
		}
	}
	// Output:
	// data of text frame: "He"
	// data of text frame: "llo"
	// ping of ping frame: "hi"
	// data of binary frame: ""
}

func ExampleParseHeader() {
	h, n, err := engine.ParseHeader([]byte{0x82, 0x7e, 0x01, 0x00})
	fmt.Println(h.Opcode, h.Fin, h.Length, n, err)

	_, n, err = engine.ParseHeader([]byte{0x82, 0x7e})
	fmt.Println(n, err) // more bytes are needed
	// Output:
	// binary true 256 4 <nil>
	// 0 <nil>
}

// An Encoder encodes a masked frame of a client.
func ExampleEncoder() {
	e := engine.NewEncoder(engine.Client, nil)
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d} // from mask.Keys, since it has to be unpredictable
	frame, err := e.Append(nil, key, engine.OpText, true, []byte("Hello"))
	fmt.Printf("%x %v\n", frame, err)
	_, err = e.Append(nil, key, engine.OpContinuation, true, nil)
	fmt.Println(err)
	// Output:
	// 818537fa213d7f9f4d5158 <nil>
	// websock: a frame of this opcode can't be sent here
}
