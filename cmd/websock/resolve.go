package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// A resolver has the addresses that -resolve gives to hosts, by "host:port", or by "host:" for all
// ports.
type resolver map[string]netip.Addr

var errResolve = errors.New("not HOST:ADDR or HOST:PORT:ADDR, with ADDR an IP address")

// add adds HOST:ADDR or HOST:PORT:ADDR. A HOST that is an IPv6 address is in brackets; an ADDR may be.
func (r resolver) add(text string) error {
	host, rest, ok := cutHost(text)
	if !ok {
		return errResolve
	}
	port, rest2, _ := strings.Cut(rest, ":")
	forAll, errAll := parseAddr(rest)
	forPort, errPort := parseAddr(rest2)
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		errPort = errResolve
	}
	switch {
	case errAll == nil && errPort == nil:
		return errors.New("put the IPv6 address in brackets: it may begin with a port")
	case errAll == nil:
		r[host+":"] = forAll
	case errPort == nil:
		r[host+":"+port] = forPort
	default:
		return errResolve
	}
	return nil
}

// cutHost returns the host at the beginning of text, as canonicalHost has it, and what follows the
// colon after it.
func cutHost(text string) (host, rest string, ok bool) {
	if inner, bracketed := strings.CutPrefix(text, "["); bracketed {
		host, rest, ok = strings.Cut(inner, "]:")
	} else {
		host, rest, ok = strings.Cut(text, ":")
	}
	return canonicalHost(host), rest, ok && host != ""
}

// canonicalHost returns a name in lower case, and an IP address in its shortest form.
func canonicalHost(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func parseAddr(text string) (netip.Addr, error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		text, ok = strings.CutSuffix(inner, "]")
		if !ok {
			return netip.Addr{}, errResolve
		}
	}
	return netip.ParseAddr(text)
}

// address returns where to connect to for an address with a host and a port.
func (r resolver) address(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	for _, key := range []string{port, ""} {
		if to, ok := r[canonicalHost(host)+":"+key]; ok {
			return net.JoinHostPort(to.String(), port)
		}
	}
	return addr
}

// netDial returns the websock.Config.NetDial that connects to these addresses with d, which may be
// nil. It returns nil if there are none.
func (r resolver) netDial(d *net.Dialer) func(ctx context.Context, network, addr string) (net.Conn, error) {
	if len(r) == 0 {
		return nil
	}
	if d == nil {
		d = new(net.Dialer)
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network == "tcp" {
			addr = r.address(addr)
		}
		return d.DialContext(ctx, network, addr)
	}
}
