// Command feed writes the file that clients in other languages cut their messages from.
package main

import (
	"fmt"
	"os"

	"github.com/seed004e8d11/websock/bench/feed"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: feed FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], feed.File(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
