// Command large receives one message of any size into a file, through a buffer of 64 KiB.
//
//	go run ./examples/large ws://files.example/backup backup.tar
package main

import (
	"context"
	"io"
	"log"
	"os"

	"github.com/seed004e8d11/websock"
)

func main() {
	file, err := os.Create(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	n, err := download(file, os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
	log.Printf("%d bytes", n)
}

func download(w io.Writer, url string) (total int64, err error) {
	conn, err := websock.Dial(context.Background(), url, &websock.Config{
		Limits: websock.Limits{MessageSize: -1}, // no limit; the default is 16 MiB
	})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	buf := make([]byte, 64<<10)
	for {
		h, n, err := conn.Recv(buf)
		if err != nil {
			return total, err
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return total, err
		}
		total += int64(n)
		if h.Opcode >= 0 && h.Fin && h.Remaining == 0 {
			return total, nil
		}
	}
}
