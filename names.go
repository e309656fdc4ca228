package websock

import (
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/transport"
)

// The names in this file are those of package engine that programs use every day, so that they
// import this package and no other. An alias and its original are the same: a websock.Header is
// an engine.Header. What is missing here is for those who write a transport or use the decoder
// without a connection.

// A connection, what it is called with and what it returns.
type (
	Conn            = engine.Conn
	Role            = engine.Role
	Header          = engine.Header
	Opcode          = engine.Opcode
	CloseCode       = engine.CloseCode
	Compression     = engine.Compression
	Stats           = engine.Stats
	SendBuffer      = engine.SendBuffer
	PreparedMessage = engine.PreparedMessage
)

// NewPreparedMessage returns a message to send to many connections with Conn.SendPrepared. It is
// engine.NewPreparedMessage.
func NewPreparedMessage(op Opcode, p []byte) (*PreparedMessage, error) {
	return engine.NewPreparedMessage(op, p)
}

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

// A Transport makes what carries a connection: std.Transport() and the like. See Config.Transport.
type Transport = transport.Factory

// Who receives by callback: see Config.Handler and Conn.SetHandler.
type (
	Handler     = engine.Handler
	PingHandler = engine.PingHandler
	PongHandler = engine.PongHandler
)

// Messages returns a Handler that calls f with every whole message, and closed, which may be
// nil, at the end. It is engine.Messages, which says how long msg is valid.
func Messages(f func(c *Conn, op Opcode, msg []byte), closed func(c *Conn, err error)) Handler {
	return engine.Messages(f, closed)
}

// Limits is what a connection may cost; QueuePolicy is what a send does when its queue is full.
type (
	Limits      = engine.Limits
	QueuePolicy = engine.QueuePolicy
)

// The policies: see Limits.WhenFull.
const (
	QueueDefault = engine.QueueDefault
	QueueWaits   = engine.QueueWaits
	QueueRefuses = engine.QueueRefuses
)

// The defaults of Limits.
const (
	DefaultMessageSize    = engine.DefaultMessageSize
	DefaultInflationRatio = engine.DefaultInflationRatio
	DefaultFragments      = engine.DefaultFragments
	DefaultPongRate       = engine.DefaultPongRate
	DefaultSendQueue      = engine.DefaultSendQueue
	DefaultHandshakeSize  = engine.DefaultHandshakeSize
	DefaultCloseTimeout   = engine.DefaultCloseTimeout
)

// DefaultCompression is a Config.Compression for a client of very many connections. It is
// engine.DefaultCompression.
var DefaultCompression = engine.DefaultCompression

// The errors that errors.As finds: there never was a connection; the peer closed it, or it was
// lost; the peer broke the protocol; something is larger than Limits allows; a Handler did not
// return.
type (
	// HandshakeError has the fields Reason; Status, Header and Body, the start of the server's
	// answer, at most 1 KiB of it; Host, what was dialled; Proxy, where a proxy failed; Err, the
	// cause, which errors.Is and errors.As find.
	HandshakeError = handshake.HandshakeError

	CloseError    = engine.CloseError
	ProtocolError = engine.ProtocolError
	LimitError    = engine.LimitError
	HandlerError  = engine.HandlerError
)

// The errors that errors.Is finds. After ErrClosed and ErrIdle the connection is over; after
// the others it is as it was.
var (
	ErrTimeout        = engine.ErrTimeout        // of a receive: nothing is lost, call again
	ErrClosed         = engine.ErrClosed         // after our own Close
	ErrIdle           = engine.ErrIdle           // nothing was received for too long
	ErrSendQueueFull  = engine.ErrSendQueueFull  // nothing was sent: the peer takes too little
	ErrInvalidUTF8    = engine.ErrInvalidUTF8    // nothing was sent: text has to be UTF-8
	ErrFrameOrder     = engine.ErrFrameOrder     // nothing was sent: not at this place
	ErrControlTooLong = engine.ErrControlTooLong // nothing was sent: at most 125 bytes
	ErrCloseCode      = engine.ErrCloseCode      // nothing was sent: such a code must not be
	ErrSendBuffer     = engine.ErrSendBuffer     // nothing was sent: a SendBuffer is used up or too short
	ErrHandler        = engine.ErrHandler        // there is a Handler
	ErrReadOrder      = engine.ErrReadOrder      // nothing was received: a reader has the message
	ErrNoPush         = engine.ErrNoPush         // the transport can't serve a Handler
)
