//go:build linux

package echo

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"

	"github.com/seed004e8d11/websock/bench/server"
)

// A Contestant is an echo server.
type Contestant struct {
	Name   string
	Ours   bool // a failure is a bug of this repository
	Shares bool // WebSockets share connections, with HTTP/2 in cleartext

	// Environment has settings of its process.
	Environment []string

	// Listen listens on a free port of the loopback interface. serve serves until an error occurs.
	Listen func() (address string, serve func() error, err error)
}

// Contestants returns all contestants, raw first.
func Contestants() []Contestant {
	all := []Contestant{{Name: "raw", Ours: true, Listen: listenRaw}}
	for _, name := range slices.Sorted(maps.Keys(transports)) {
		all = append(all, overHTTP("websock-"+name, true, newWebsock(transports[name])))
	}
	return append(all,
		overHTTP("gorilla", false, newGorilla()),
		overHTTP("gws", false, newGws()),
		Contestant{Name: "nbio", Listen: listenNbio},
		Contestant{Name: "websock-epoll-h2", Ours: true, Shares: true, Listen: listenWebsockShared},
		Contestant{Name: "xnet-h2", Shares: true, Listen: listenXnetShared, Environment: []string{"GODEBUG=http2xconnect=1"}})
}

// Find returns the contestant of that name.
func Find(name string) (Contestant, error) {
	all := Contestants()
	i := slices.IndexFunc(all, func(c Contestant) bool { return c.Name == name })
	if i < 0 {
		return Contestant{}, fmt.Errorf("no server is called %q", name)
	}
	return all[i], nil
}

// listenRaw is the least that any server has to do: an epoll loop that checks nothing.
func listenRaw() (address string, serve func() error, err error) {
	s, err := server.Listen(0)
	if err != nil {
		return "", nil, err
	}
	return s.Addresses().Plain[0], s.Serve, nil
}

// overHTTP is a contestant whose handler an http.Server calls.
func overHTTP(name string, ours bool, handler http.Handler) Contestant {
	return Contestant{Name: name, Ours: ours, Listen: func() (string, func() error, error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", nil, err
		}
		return listener.Addr().String(), func() error { return http.Serve(listener, handler) }, nil
	}}
}
