package engine

import (
	"encoding/binary"
	"strconv"
	"unicode/utf8"
)

// A CloseCode says why a connection was closed (RFC 6455 section 7.4).
type CloseCode uint16

// The close codes of RFC 6455 section 7.4.1 and of the IANA registry.
const (
	CloseNormal             CloseCode = 1000 // the connection has fulfilled its purpose
	CloseGoingAway          CloseCode = 1001 // a server goes down, or a browser leaves the page
	CloseProtocolError      CloseCode = 1002 // the peer violated the protocol
	CloseUnsupportedData    CloseCode = 1003 // data of a type that can't be handled
	CloseNoStatus           CloseCode = 1005 // never sent: the close frame had no code
	CloseAbnormal           CloseCode = 1006 // never sent: the connection ended without a close frame
	CloseInvalidPayload     CloseCode = 1007 // text that is not UTF-8
	ClosePolicyViolation    CloseCode = 1008 // a message violates a policy
	CloseMessageTooBig      CloseCode = 1009 // a message is too big to process
	CloseMandatoryExtension CloseCode = 1010 // the server did not negotiate a required extension
	CloseInternalError      CloseCode = 1011 // an unexpected condition
	CloseServiceRestart     CloseCode = 1012 // reconnect after a random delay
	CloseTryAgainLater      CloseCode = 1013 // the service is overloaded
	CloseBadGateway         CloseCode = 1014 // a gateway got an invalid response from upstream
	CloseTLSHandshake       CloseCode = 1015 // never sent: the TLS handshake failed
)

// MaxControlPayload is the maximum payload of a control frame, in bytes (RFC 6455 section 5.5).
const MaxControlPayload = 125

const (
	closeCodeSize  = 2
	maxCloseReason = MaxControlPayload - closeCodeSize
)

// Sendable reports whether c may be sent in a close frame: the codes of the RFC except 1004, 1005,
// 1006 and 1015, and those from 3000 to 4999 (RFC 6455 section 7.4).
func (c CloseCode) Sendable() bool {
	switch {
	case c >= CloseNormal && c <= CloseUnsupportedData:
		return true
	case c >= CloseInvalidPayload && c <= CloseBadGateway:
		return true
	}
	return c >= 3000 && c <= 4999
}

// String returns the number and, for registered codes, the name.
func (c CloseCode) String() string {
	number := strconv.Itoa(int(c))
	if name := c.name(); name != "" {
		return number + " (" + name + ")"
	}
	return number
}

func (c CloseCode) name() string {
	switch c {
	case CloseNormal:
		return "normal closure"
	case CloseGoingAway:
		return "going away"
	case CloseProtocolError:
		return "protocol error"
	case CloseUnsupportedData:
		return "unsupported data"
	case CloseNoStatus:
		return "no status received"
	case CloseAbnormal:
		return "abnormal closure"
	case CloseInvalidPayload:
		return "invalid payload data"
	case ClosePolicyViolation:
		return "policy violation"
	case CloseMessageTooBig:
		return "message too big"
	case CloseMandatoryExtension:
		return "mandatory extension"
	case CloseInternalError:
		return "internal error"
	case CloseServiceRestart:
		return "service restart"
	case CloseTryAgainLater:
		return "try again later"
	case CloseBadGateway:
		return "bad gateway"
	case CloseTLSHandshake:
		return "TLS handshake"
	}
	return ""
}

// ParseClose parses the payload of a close frame (RFC 6455 section 5.5.1). An empty payload means
// CloseNoStatus. reason is a slice of payload. The error is a *ProtocolError with the peer's code
// and reason: for a payload of one byte, a code that must not be sent, or a reason that is not
// UTF-8.
func ParseClose(payload []byte) (code CloseCode, reason []byte, err error) {
	if len(payload) == 0 {
		return CloseNoStatus, nil, nil
	}
	if len(payload) < closeCodeSize {
		return 0, nil, errCloseTooShort
	}
	code = CloseCode(binary.BigEndian.Uint16(payload))
	reason = payload[closeCodeSize:]
	switch {
	case !code.Sendable():
		return 0, nil, errCloseCode.withPeerClose(code, reason)
	case !utf8.Valid(reason):
		return 0, nil, errCloseReason.withPeerClose(code, reason)
	}
	return code, reason, nil
}

// AppendClose appends the payload of a close frame to dst (RFC 6455 section 5.5.1). For
// CloseNoStatus it appends nothing. It cuts a reason longer than 123 bytes between two characters.
func AppendClose(dst []byte, code CloseCode, reason string) []byte {
	if code == CloseNoStatus {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, truncateReason(reason)...)
}

// CheckClose checks the code and reason of a close frame to send. It returns ErrCloseCode,
// ErrControlTooLong for a reason longer than 123 bytes, or ErrInvalidUTF8. CloseNoStatus means a
// frame without a code, which can't have a reason.
func CheckClose(code CloseCode, reason string) error {
	switch {
	case !code.Sendable() && code != CloseNoStatus, code == CloseNoStatus && reason != "":
		return ErrCloseCode
	case len(reason) > maxCloseReason:
		return ErrControlTooLong
	case !utf8.ValidString(reason):
		return ErrInvalidUTF8
	}
	return nil
}

func truncateReason(reason string) string {
	if len(reason) <= maxCloseReason {
		return reason
	}
	end := maxCloseReason
	for end > 0 && !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}
