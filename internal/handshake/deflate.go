package handshake

import (
	"fmt"
	"net/http"
	"strconv"

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

// deflateParams are the parameters of permessage-deflate in an offer or a response.
type deflateParams struct {
	serverNoTakeover, clientNoTakeover bool
	serverBits, clientBits             int // 0: not present
}

// anyBits stands for client_max_window_bits without a value, which is valid in an offer.
const anyBits = -1

// parseDeflate parses the parameters of an extension. It rejects those that are unknown, repeated or
// have an invalid value (RFC 7692 section 7.1).
func parseDeflate(e *extension) (params deflateParams, err error) {
	seen := map[string]bool{}
	for _, p := range e.parameters {
		if seen[p.name] {
			return params, fmt.Errorf("parameter %s is repeated", p.name)
		}
		seen[p.name] = true
		ok := false
		switch p.name {
		case serverNoTakeover:
			params.serverNoTakeover, ok = true, p.value == ""
		case clientNoTakeover:
			params.clientNoTakeover, ok = true, p.value == ""
		case serverWindowBits:
			params.serverBits, ok = windowBits(p.value)
		case clientWindowBits:
			params.clientBits, ok = windowBits(p.value)
			if p.value == "" {
				params.clientBits, ok = anyBits, true
			}
		default:
			return params, fmt.Errorf("parameter %.100q is unknown", p.name)
		}
		if !ok {
			return params, fmt.Errorf("parameter %s can't have the value %.100q", p.name, p.value)
		}
	}
	return params, nil
}

// windowBits reads a number of bits, which has no leading zero.
func windowBits(value string) (bits int, ok bool) {
	bits, err := strconv.Atoi(value)
	return bits, err == nil && bits >= minWindowBits && bits <= maxWindowBits && strconv.Itoa(bits) == value
}

// String returns the extension with its parameters.
func (p deflateParams) String() string { return string(p.appendTo(nil)) }

// appendTo appends the extension with its parameters to text.
func (p deflateParams) appendTo(text []byte) []byte {
	text = append(text, deflateName...)
	if p.serverNoTakeover {
		text = append(text, "; "+serverNoTakeover...)
	}
	if p.clientNoTakeover {
		text = append(text, "; "+clientNoTakeover...)
	}
	if p.serverBits > 0 {
		text = strconv.AppendInt(append(text, "; "+serverWindowBits+"="...), int64(p.serverBits), 10)
	}
	if p.clientBits > 0 {
		text = strconv.AppendInt(append(text, "; "+clientWindowBits+"="...), int64(p.clientBits), 10)
	} else if p.clientBits == anyBits {
		text = append(text, "; "+clientWindowBits...)
	}
	return text
}

// offersOf returns what a client offers, in order of preference. A server that can't limit its
// window is asked not to take it over from message to message.
func offersOf(requested engine.Compression) []deflateParams {
	requested = requested.Normal()
	if requested.IsOff() {
		return nil
	}
	offer := deflateParams{
		serverNoTakeover: !requested.RecvTakeover,
		clientNoTakeover: !requested.SendTakeover,
		clientBits:       anyBits,
	}
	if requested.SendWindowBits < maxWindowBits {
		offer.clientBits = requested.SendWindowBits
	}
	if requested.RecvWindowBits == maxWindowBits {
		return []deflateParams{offer}
	}
	second := offer
	second.serverNoTakeover = true
	offer.serverBits = requested.RecvWindowBits
	return []deflateParams{offer, second}
}

// offerHeader returns the value of a client's Sec-WebSocket-Extensions, "" for none.
func offerHeader(requested engine.Compression) string {
	var memory [256]byte // enough for most offers
	text := memory[:0]
	for i, offer := range offersOf(requested) {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = offer.appendTo(text)
	}
	return string(text)
}

// acceptResponse returns what a server's response means for a client that has requested compression
// (RFC 7692 section 7.1). values are those of Sec-WebSocket-Extensions.
func acceptResponse(requested engine.Compression, values []string) (engine.Compression, error) {
	list, err := parseExtensions(values)
	switch {
	case err != nil:
		return engine.Compression{}, err
	case len(list) == 0: // an empty header names nothing
		return engine.Compression{}, nil
	case len(list) != 1 || requested.IsOff() || list[0].name != deflateName:
		return engine.Compression{}, fmt.Errorf("extensions that were not offered: %.100q", values)
	}
	response, err := parseDeflate(&list[0])
	if err != nil {
		return engine.Compression{}, err
	}
	if response.clientBits == anyBits {
		return engine.Compression{}, fmt.Errorf("parameter %s has no value", clientWindowBits)
	}
	for _, offer := range offersOf(requested) {
		if response.satisfies(offer) {
			return response.asClient(requested), nil
		}
	}
	return engine.Compression{}, fmt.Errorf("%q doesn't fit what was offered", response)
}

// satisfies reports whether a response keeps to what an offer demands.
func (p deflateParams) satisfies(offer deflateParams) bool {
	if offer.serverNoTakeover && !p.serverNoTakeover {
		return false
	}
	return offer.serverBits == 0 || p.serverBits > 0 && p.serverBits <= offer.serverBits
}

// asClient returns the compression of a client that requested c and got this response.
func (p deflateParams) asClient(c engine.Compression) engine.Compression {
	c = c.Normal()
	c.SendTakeover = c.SendTakeover && !p.clientNoTakeover
	c.RecvTakeover = !p.serverNoTakeover
	if p.clientBits > 0 {
		c.SendWindowBits = min(c.SendWindowBits, p.clientBits)
	}
	c.RecvWindowBits = maxWindowBits
	if p.serverBits > 0 {
		c.RecvWindowBits = p.serverBits
	}
	return c
}

// acceptOffer accepts the first valid offer of a client (RFC 7692 section 7.1). It returns what that
// means for the server, and the extension of the response, "" for none.
func acceptOffer(supported engine.Compression, values []string) (engine.Compression, string, error) {
	supported = supported.Normal()
	if supported.IsOff() {
		return supported, "", nil
	}
	list, err := parseExtensions(values)
	if err != nil {
		return supported, "", err
	}
	for i := range list {
		if list[i].name != deflateName {
			continue
		}
		if offer, err := parseDeflate(&list[i]); err == nil {
			response := offer.response(supported)
			return response.asServer(supported), response.String(), nil
		}
	}
	return engine.Compression{}, "", nil
}

// response returns a server's response to an offer. If the window has to be small, a client that
// doesn't offer to limit its window is told not to take it over from message to message.
func (p deflateParams) response(supported engine.Compression) deflateParams {
	response := deflateParams{
		serverNoTakeover: p.serverNoTakeover || !supported.SendTakeover,
		clientNoTakeover: p.clientNoTakeover || !supported.RecvTakeover,
	}
	if p.serverBits > 0 {
		response.serverBits = min(p.serverBits, supported.SendWindowBits)
	}
	bits := supported.RecvWindowBits
	if p.clientBits > 0 {
		bits = min(bits, p.clientBits)
	}
	switch {
	case bits == maxWindowBits:
	case p.clientBits != 0:
		response.clientBits = bits
	default:
		response.clientNoTakeover = true
	}
	return response
}

// asServer returns the compression of a server that supports c and sends this response.
func (p deflateParams) asServer(c engine.Compression) engine.Compression {
	c.SendTakeover = !p.serverNoTakeover
	c.RecvTakeover = !p.clientNoTakeover
	if p.serverBits > 0 {
		c.SendWindowBits = p.serverBits
	}
	c.RecvWindowBits = maxWindowBits
	if p.clientBits > 0 {
		c.RecvWindowBits = p.clientBits
	}
	return c
}

// checkCompression rejects invalid settings.
func checkCompression(c engine.Compression) error {
	switch {
	case c.IsOff():
		return nil
	case c.Level > 9:
		return failure("compression level %d is not 0 to 9", c.Level)
	}
	for _, bits := range []int{c.SendWindowBits, c.RecvWindowBits} {
		if bits != 0 && (bits < minWindowBits || bits > maxWindowBits) {
			return failure("window of %d bits is not 8 to 15", bits)
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
