// Package loopback finds addresses for servers of tests that listen at a port chosen before, or listen again at the one
// that they had.
package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
)

// Host returns a loopback address from which nothing connects. A port of it stays free while nobody listens
// there; one of 127.0.0.1 may become that of any outgoing connection of the machine.
func Host() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.%d.%d.1", rand.N(200)+1, rand.N(250))
}

// Addresses returns addresses, with a port each, at which nobody listens.
func Addresses(t testing.TB, number int) (addresses []string) {
	t.Helper()
	for range number {
		l, err := net.Listen("tcp", net.JoinHostPort(Host(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}
