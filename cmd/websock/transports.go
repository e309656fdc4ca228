package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// transports has what -transport can name.
var transports = map[string]websock.Transport{
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
	"std":     std.Transport(),
}

// defaultTransport is the one that costs least.
const defaultTransport = "epoll"

// transportNames lists the transports.
func transportNames() string {
	return strings.Join(slices.Sorted(maps.Keys(transports)), ", ")
}
