package loopback

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// The ports that Port returns are none of those from which the system connects by default, one of which an outgoing
// connection could get before a server listens there.
const (
	firstPort = 10_000
	ports     = 20_000
)

// lastPort is the port that Port has tried last, less firstPort. Processes begin anywhere.
var lastPort atomic.Uint32

func init() { lastPort.Store(rand.Uint32N(ports)) }

// Port returns a port of 127.0.0.1 at which nobody listens, for a program that is told where to listen. It returns none
// twice, before all others: the program may take long until it listens there.
func Port() (port string, err error) {
	for range 100 {
		port = strconv.Itoa(firstPort + int(lastPort.Add(1)%ports))
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			return port, l.Close()
		}
	}
	return "", err
}
