package handshake

import (
	"net"
	"strconv"
	"strings"
)

// HostHeader returns the value of the Host header for a host that is dialled: a
// name or an IP address, IPv6 with or without brackets. The port is left out when
// it is 0 or the scheme's default, 443 with TLS and 80 without (RFC 6455 section
// 4.1). An IPv6 zone, which means nothing to the peer, is left out too.
func HostHeader(host string, port int, secure bool) string {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	host, _, _ = strings.Cut(host, "%")
	if port != 0 && port != defaultPort(secure) {
		return net.JoinHostPort(host, strconv.Itoa(port))
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func defaultPort(secure bool) int {
	if secure {
		return 443
	}
	return 80
}
