package websock

import (
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
)

// This file declares names of package engine as aliases, so that programs need to import only this
// package and a transport. A websock.Header is an engine.Header.
type (
	Role        = engine.Role
	Header      = engine.Header
	Opcode      = engine.Opcode
	CloseCode   = engine.CloseCode
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
