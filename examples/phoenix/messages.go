package main

import (
	"encoding/json"
	"fmt"
)

// Events of the protocol itself. A channel's handler gets all of them but replies.
const (
	eventJoin  = "phx_join"  // as a handler gets it: the channel was joined again; the payload is the response
	eventReply = "phx_reply" // to a join or a push, with the same ref
	eventError = "phx_error" // the channel's process has crashed; the client joins it again
	eventClose = "phx_close" // the channel is over
	eventLeave = "phx_leave"
)

// A message is an array of five: [join_ref, ref, topic, event, payload]. The refs are strings that the
// client makes up: JoinRef is that of the join to which the message belongs, so that a message for
// an earlier one is recognized, and Ref is repeated in the reply. "" stands for null.
type message struct {
	JoinRef, Ref string
	Topic, Event string
	Payload      any // to send
	raw          json.RawMessage
}

// MarshalJSON returns the array.
func (m message) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{orNull(m.JoinRef), orNull(m.Ref), m.Topic, m.Event, m.Payload})
}

func orNull(ref string) any {
	if ref == "" {
		return nil
	}
	return ref
}

// UnmarshalJSON parses an array; the payload is kept as it is.
func (m *message) UnmarshalJSON(text []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	if len(parts) != 5 {
		return fmt.Errorf("an array of %d instead of 5", len(parts))
	}
	for i, field := range []*string{&m.JoinRef, &m.Ref, &m.Topic, &m.Event} {
		if err := json.Unmarshal(parts[i], field); err != nil {
			return err
		}
	}
	m.raw = parts[4]
	return nil
}

// A reply is the payload of phx_reply.
type reply struct {
	Status   string          `json:"status"` // ok or error
	Response json.RawMessage `json:"response"`
}

// A refusal is the response of a reply whose status is error.
type refusal json.RawMessage

func (r refusal) Error() string { return fmt.Sprintf("phoenix: refused: %.300s", []byte(r)) }
