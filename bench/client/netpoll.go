//go:build linux

package client

import "github.com/cloudwego/netpoll"

// smallNetpoll gives the connections of netpoll the smallest buffers, as the documentation
// of our transport recommends for many that are idle.
func smallNetpoll() error {
	const size = 512
	netpoll.LinkBufferCap = size
	return netpoll.Configure(netpoll.Config{BufferSize: size})
}
