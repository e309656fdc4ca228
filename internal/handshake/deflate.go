package handshake

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/seed004e8d11/websock/engine"
)

// The extension of RFC 7692 section 7, and its parameters.
const (
	deflateName      = "permessage-deflate"
	serverNoTakeover = "server_no_context_takeover"
	clientNoTakeover = "client_no_context_takeover"
	serverWindowBits = "server_max_window_bits"
	clientWindowBits = "client_max_window_bits"
)

const (
	minWindowBits = 8
	maxWindowBits = 15
)

// A deflateSet is a set of parameters of permessage-deflate, in an offer or an answer.
type deflateSet struct {
	serverNoTakeover, clientNoTakeover bool
	serverBits, clientBits             int // 0: not in the set
}

// anyBits is the value of client_max_window_bits in an offer that has none.
const anyBits = -1

// parseDeflate reads the parameters of an extension. It refuses those that are unknown,
// stand twice, or have a value that they may not have (RFC 7692 section 7.1).
func parseDeflate(e *extension) (set deflateSet, err error) {
	seen := map[string]bool{}
	for _, p := range e.parameters {
		if seen[p.name] {
			return set, fmt.Errorf("parameter %s stands twice", p.name)
		}
		seen[p.name] = true
		ok := false
		switch p.name {
		case serverNoTakeover:
			set.serverNoTakeover, ok = true, p.value == ""
		case clientNoTakeover:
			set.clientNoTakeover, ok = true, p.value == ""
		case serverWindowBits:
			set.serverBits, ok = windowBits(p.value)
		case clientWindowBits:
			set.clientBits, ok = windowBits(p.value)
			if p.value == "" {
				set.clientBits, ok = anyBits, true
			}
		default:
			return set, fmt.Errorf("parameter %.100q is unknown", p.name)
		}
		if !ok {
			return set, fmt.Errorf("parameter %s can't have the value %.100q", p.name, p.value)
		}
	}
	return set, nil
}

// windowBits reads a number of bits, which has no leading zero.
func windowBits(value string) (bits int, ok bool) {
	bits, err := strconv.Atoi(value)
	return bits, err == nil && bits >= minWindowBits && bits <= maxWindowBits && strconv.Itoa(bits) == value
}

// String returns the extension with the parameters of the set.
func (s deflateSet) String() string {
	var text strings.Builder
	text.WriteString(deflateName)
	if s.serverNoTakeover {
		text.WriteString("; " + serverNoTakeover)
	}
	if s.clientNoTakeover {
		text.WriteString("; " + clientNoTakeover)
	}
	if s.serverBits > 0 {
		fmt.Fprintf(&text, "; %s=%d", serverWindowBits, s.serverBits)
	}
	if s.clientBits > 0 {
		fmt.Fprintf(&text, "; %s=%d", clientWindowBits, s.clientBits)
	} else if s.clientBits == anyBits {
		text.WriteString("; " + clientWindowBits)
	}
	return text.String()
}

// offersOf returns what a client offers, in order of preference. A server that can't keep
// to a window is asked for messages that need none to be remembered.
func offersOf(wished engine.Compression) []deflateSet {
	wished = wished.Normal()
	if wished.IsOff() {
		return nil
	}
	offer := deflateSet{
		serverNoTakeover: !wished.RecvTakeover,
		clientNoTakeover: !wished.SendTakeover,
		clientBits:       anyBits,
	}
	if wished.SendWindowBits < maxWindowBits {
		offer.clientBits = wished.SendWindowBits
	}
	if wished.RecvWindowBits == maxWindowBits {
		return []deflateSet{offer}
	}
	second := offer
	second.serverNoTakeover = true
	offer.serverBits = wished.RecvWindowBits
	return []deflateSet{offer, second}
}

// offerHeader returns the value of a client's Sec-WebSocket-Extensions, "" for none.
func offerHeader(wished engine.Compression) string {
	var texts []string
	for _, offer := range offersOf(wished) {
		texts = append(texts, offer.String())
	}
	return strings.Join(texts, ", ")
}

// agree returns what a server's answer means for a client that has made its offers (RFC
// 7692 section 7.1). values are those of Sec-WebSocket-Extensions.
func agree(wished engine.Compression, values []string) (engine.Compression, error) {
	list, err := parseExtensions(values)
	switch {
	case err != nil:
		return engine.Compression{}, err
	case len(list) == 0: // an empty header names nothing
		return engine.Compression{}, nil
	case len(list) != 1 || wished.IsOff() || list[0].name != deflateName:
		return engine.Compression{}, fmt.Errorf("extensions that were not asked for: %.100q", values)
	}
	answer, err := parseDeflate(&list[0])
	if err != nil {
		return engine.Compression{}, err
	}
	if answer.clientBits == anyBits {
		return engine.Compression{}, fmt.Errorf("parameter %s has no value", clientWindowBits)
	}
	for _, offer := range offersOf(wished) {
		if answer.fits(offer) {
			return answer.asClient(wished), nil
		}
	}
	return engine.Compression{}, fmt.Errorf("%q doesn't fit what was offered", answer)
}

// fits reports whether an answer keeps to what an offer demands.
func (s deflateSet) fits(offer deflateSet) bool {
	if offer.serverNoTakeover && !s.serverNoTakeover {
		return false
	}
	return offer.serverBits == 0 || s.serverBits > 0 && s.serverBits <= offer.serverBits
}

func (s deflateSet) asClient(c engine.Compression) engine.Compression {
	c = c.Normal()
	c.SendTakeover = c.SendTakeover && !s.clientNoTakeover
	c.RecvTakeover = !s.serverNoTakeover
	if s.clientBits > 0 {
		c.SendWindowBits = min(c.SendWindowBits, s.clientBits)
	}
	c.RecvWindowBits = maxWindowBits
	if s.serverBits > 0 {
		c.RecvWindowBits = s.serverBits
	}
	return c
}

// accept chooses among a client's offers: the first that keeps to RFC 7692 section 7.1. It
// returns what that means for the server, and the extension to answer with, "" for none.
func accept(wished engine.Compression, values []string) (engine.Compression, string, error) {
	wished = wished.Normal()
	if wished.IsOff() {
		return wished, "", nil
	}
	list, err := parseExtensions(values)
	if err != nil {
		return wished, "", err
	}
	for i := range list {
		if list[i].name != deflateName {
			continue
		}
		if offer, err := parseDeflate(&list[i]); err == nil {
			answer := offer.answer(wished)
			return answer.asServer(wished), answer.String(), nil
		}
	}
	return engine.Compression{}, "", nil
}

// answer returns a server's answer to an offer. A client that doesn't say that it can keep
// to a window is told to do without takeover, should the window have to be small.
func (s deflateSet) answer(wished engine.Compression) deflateSet {
	answer := deflateSet{
		serverNoTakeover: s.serverNoTakeover || !wished.SendTakeover,
		clientNoTakeover: s.clientNoTakeover || !wished.RecvTakeover,
	}
	if s.serverBits > 0 {
		answer.serverBits = min(s.serverBits, wished.SendWindowBits)
	}
	bits := wished.RecvWindowBits
	if s.clientBits > 0 {
		bits = min(bits, s.clientBits)
	}
	switch {
	case bits == maxWindowBits:
	case s.clientBits != 0:
		answer.clientBits = bits
	default:
		answer.clientNoTakeover = true
	}
	return answer
}

func (s deflateSet) asServer(c engine.Compression) engine.Compression {
	c.SendTakeover = !s.serverNoTakeover
	c.RecvTakeover = !s.clientNoTakeover
	if s.serverBits > 0 {
		c.SendWindowBits = s.serverBits
	}
	c.RecvWindowBits = maxWindowBits
	if s.clientBits > 0 {
		c.RecvWindowBits = s.clientBits
	}
	return c
}

// checkCompression refuses settings that mean nothing.
func checkCompression(c engine.Compression) error {
	switch {
	case c.IsOff():
		return nil
	case c.Level > 9:
		return refuse("compression level %d is not 0 to 9", c.Level)
	}
	for _, bits := range []int{c.SendWindowBits, c.RecvWindowBits} {
		if bits != 0 && (bits < minWindowBits || bits > maxWindowBits) {
			return refuse("window of %d bits: 8 to 15 can be had", bits)
		}
	}
	return nil
}

// withExtensions returns a header with Sec-WebSocket-Extensions, unless that is "".
func withExtensions(h http.Header, extensions string) http.Header {
	if extensions == "" {
		return h
	}
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	h["Sec-WebSocket-Extensions"] = []string{extensions}
	return h
}
