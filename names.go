package websock

import (
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
)

// Names of package engine, as aliases, so that programs need to import only this package and a
// transport.
type (
	// A Role is Client or Server.
	Role = engine.Role

	// A Header is that of a frame (RFC 6455 section 5.2), with how much of the frame is still to
	// come: see engine.Header.
	Header = engine.Header

	// An Opcode is the kind of a frame (RFC 6455 section 5.2): OpText, OpBinary, and so on.
	Opcode = engine.Opcode

	// A CloseCode says why a connection was closed (RFC 6455 section 7.4).
	CloseCode = engine.CloseCode

	// A Compression says how messages are compressed, with permessage-deflate (RFC 7692); its
	// zero value means not at all. engine.Compression documents its fields.
	Compression = engine.Compression
)

// A Transport makes transports from network connections, such as std.Transport(). See
// Config.Transport.
type Transport = transport.Factory

// The roles: see Conn.Role.
const (
	Client = engine.Client
	Server = engine.Server
)

// The opcodes (RFC 6455 section 5.2). OpNone is what Recv reports while a header is incomplete.
const (
	OpNone         = engine.OpNone
	OpContinuation = engine.OpContinuation
	OpText         = engine.OpText
	OpBinary       = engine.OpBinary
	OpClose        = engine.OpClose
	OpPing         = engine.OpPing
	OpPong         = engine.OpPong
)

// The close codes (RFC 6455 section 7.4.1). Programs may also use those from 3000 to 4999.
const (
	CloseNormal             = engine.CloseNormal
	CloseGoingAway          = engine.CloseGoingAway
	CloseProtocolError      = engine.CloseProtocolError
	CloseUnsupportedData    = engine.CloseUnsupportedData
	CloseNoStatus           = engine.CloseNoStatus
	CloseAbnormal           = engine.CloseAbnormal
	CloseInvalidPayload     = engine.CloseInvalidPayload
	ClosePolicyViolation    = engine.ClosePolicyViolation
	CloseMessageTooBig      = engine.CloseMessageTooBig
	CloseMandatoryExtension = engine.CloseMandatoryExtension
	CloseInternalError      = engine.CloseInternalError
	CloseServiceRestart     = engine.CloseServiceRestart
	CloseTryAgainLater      = engine.CloseTryAgainLater
	CloseBadGateway         = engine.CloseBadGateway
	CloseTLSHandshake       = engine.CloseTLSHandshake
)

// DefaultCompression is a Config.Compression for clients with very many connections. It is
// engine.DefaultCompression.
var DefaultCompression = engine.DefaultCompression
