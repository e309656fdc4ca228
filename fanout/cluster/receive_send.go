package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
)

// ErrNobody is what Send returns if no member holds the key: it isn't in the set of keys, or is about to
// move, or its member has ended. Nothing was sent.
var ErrNobody = errors.New("cluster: no member holds the key")

// DefaultSendTimeout bounds a Send whose context has no deadline.
const DefaultSendTimeout = 5 * time.Second

// A SendError says why the member that holds the key has refused a message: nothing was sent. errors.Is
// holds for websock.ErrSendQueueFull and websock.ErrInvalidUTF8, according to Kind.
type SendError struct {
	Kind RefusalKind
	Text string
}

func (e *SendError) Error() string { return "cluster: the message was refused: " + e.Text }

// Is tells errors.Is what Kind stands for.
func (e *SendError) Is(target error) bool {
	return e.Kind == RefusedQueueFull && target == websock.ErrSendQueueFull ||
		e.Kind == RefusedUTF8 && target == websock.ErrInvalidUTF8
}

// A RefusalKind says why a message was refused, in replies as JSON too.
type RefusalKind string

// The values of RefusalKind.
const (
	RefusedQueueFull RefusalKind = "queue_full" // too much waits to be sent on the connection
	RefusedUTF8      RefusalKind = "utf8"       // a text message that isn't UTF-8
	RefusedOpcode    RefusalKind = "opcode"     // neither text nor binary
	RefusedKey       RefusalKind = "key"        // the subject is not that of a key
	RefusedBusy      RefusalKind = "busy"       // messages come faster than the member sends them
	RefusedOther     RefusalKind = "other"      // see SendError.Text
)

var (
	errBusy    = &SendError{RefusedBusy, "messages come faster than they are sent"}
	errNoKey   = &SendError{RefusedKey, "the subject is not that of a key"}
	errLongKey = errors.New("cluster: the key is too long for a subject")
)

// A sendReply is the answer to a request to send a message.
type sendReply struct {
	Status string      `json:"status"` // "sent", "kept", "down" or "refused"
	Kind   RefusalKind `json:"kind,omitempty"`
	Error  string      `json:"error,omitempty"`
}

var (
	replySent = []byte(`{"status":"sent"}`)
	replyKept = []byte(`{"status":"kept"}`)
	replyDown = []byte(`{"status":"down"}`)
)

func replyRefused(err error) []byte {
	r := sendReply{Status: "refused", Kind: RefusedOther, Error: err.Error()}
	var refused *SendError
	switch {
	case errors.As(err, &refused):
		r.Kind, r.Error = refused.Kind, refused.Text
	case errors.Is(err, websock.ErrSendQueueFull):
		r.Kind = RefusedQueueFull
	case errors.Is(err, websock.ErrInvalidUTF8):
		r.Kind = RefusedUTF8
	case errors.Is(err, websock.ErrFrameOrder):
		r.Kind = RefusedOpcode
	}
	b, _ := json.Marshal(r) // of strings: it can't fail
	return b
}

// Send sends a message to the connection of a key, whichever member of the cluster with the prefix (see
// Options.Prefix) holds it. Its Options.Receive has to be set. The caller need not be a member. p is not
// kept.
//
// nil says that the member has given the message to the connection, or keeps it until the key is connected
// (see fanout.Options.SendBuffer). Otherwise errors are ErrNobody, fanout.ErrDown if the key isn't
// connected, a *SendError, nats.ErrMaxPayload, and that of ctx. After all but the last nothing was sent, with
// one exception: for a moment after a key has moved, the member that held it still answers ErrDown, and the
// one that holds it may send the message nevertheless. Nothing is tried twice. If ctx has no deadline,
// DefaultSendTimeout bounds the call.
//
// Any program that speaks NATS can do the same: a request with the message to the subject PREFIX.tx.KEY,
// with the key as Escape returns it, and with the header "Websock-Opcode: binary" if it isn't text. The
// reply is JSON: {"status":S}, with S "sent", "kept", "down" or "refused", and for the last also "kind", a
// RefusalKind, and "error", a text. A message that isn't a request is sent without an answer.
func Send(ctx context.Context, conn *nats.Conn, prefix, key string, op websock.Opcode, p []byte) error {
	msg := &nats.Msg{Subject: prefix + ".tx." + assign.Escape(key), Data: p}
	switch op {
	case websock.OpText:
	case websock.OpBinary:
		msg.Header = nats.Header{OpcodeHeader: {"binary"}}
	default:
		return websock.ErrFrameOrder
	}
	if len(msg.Subject) > maxSubject {
		return ErrNobody
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultSendTimeout)
		defer cancel()
	}
	reply, err := conn.RequestMsgWithContext(ctx, msg)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return ErrNobody
	case err != nil:
		return err
	}
	return parseReply(reply.Data)
}

func parseReply(data []byte) error {
	var r sendReply
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("cluster: invalid reply: %w", err)
	}
	switch r.Status {
	case "sent", "kept":
		return nil
	case "down":
		return fanout.ErrDown
	case "refused":
		return &SendError{r.Kind, r.Error}
	}
	return fmt.Errorf("cluster: invalid reply: status %q", r.Status)
}
