// Command recv is the demonstration program of the C library from which this module descends,
// line by line: open, send text, receive into a buffer of 128 bytes with a timeout, close.
//
//	go run ./examples/recv 127.0.0.1 8080
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/seed004e8d11/websock"
)

func main() {
	port, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	if err := demonstrate(os.Stdout, os.Args[1], port); err != nil {
		log.Fatal(err)
	}
}

func demonstrate(w io.Writer, host string, port int) error {
	config := websock.Config{
		Host:    host,
		Port:    port,
		Path:    "/",
		Secure:  false,
		Timeout: 10 * time.Second,
		Header:  http.Header{"X-Device": {"demo"}},
	}
	handle, err := websock.Open(context.Background(), config)
	if err != nil {
		return err
	}
	defer handle.Close()
	if err := handle.SendText([]byte("Hello from a device")); err != nil {
		return err
	}
	var buf [128]byte
	for {
		hdr, n, err := handle.RecvTimeout(buf[:], 100*time.Millisecond)
		switch {
		case errors.Is(err, websock.ErrTimeout):
			fmt.Fprintln(w, "nothing yet")
		case err != nil:
			return err
		case hdr.Opcode < 0:
			fmt.Fprintln(w, "the header is incomplete")
		default:
			fmt.Fprintf(w, "fin %v, %v, %d bytes of %d: %s\n", hdr.Fin, hdr.Opcode, n, hdr.Length, buf[:n])
			if hdr.Fin && hdr.Remaining == 0 {
				return nil
			}
		}
	}
}
