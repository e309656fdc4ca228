package main

import (
	"encoding/json"
	"fmt"
)

// A command is what the client sends, with one of the requests; an empty one answers a ping. Several
// commands, or replies, may be in one message, each on a line of its own.
type command struct {
	ID          uint32              `json:"id,omitempty"` // repeated in the reply
	Connect     *connectRequest     `json:"connect,omitempty"`
	Subscribe   *subscribeRequest   `json:"subscribe,omitempty"`
	Unsubscribe *unsubscribeRequest `json:"unsubscribe,omitempty"`
	Publish     *publishRequest     `json:"publish,omitempty"`
}

type connectRequest struct {
	Token string `json:"token,omitempty"`
}

// A subscribeRequest asks with Recover for what came after a position: an offset in a stream, whose name
// is the epoch. Both are those of the last publication.
type subscribeRequest struct {
	Channel     string `json:"channel"`
	Recoverable bool   `json:"recoverable,omitempty"`
	Recover     bool   `json:"recover,omitempty"`
	Epoch       string `json:"epoch,omitempty"`
	Offset      uint64 `json:"offset,omitempty"`
}

type unsubscribeRequest struct {
	Channel string `json:"channel"`
}

type publishRequest struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

// A reply is what the server sends: the result of the command with the ID, a push, or nothing at all, which is
// a ping.
type reply struct {
	ID        uint32           `json:"id"`
	Error     *serverError     `json:"error"`
	Push      *push            `json:"push"`
	Connect   *connectResult   `json:"connect"`
	Subscribe *subscribeResult `json:"subscribe"`
}

type connectResult struct {
	Pong bool `json:"pong"` // pings are to be answered
}

type subscribeResult struct {
	Recoverable  bool          `json:"recoverable"`
	Epoch        string        `json:"epoch"`
	Offset       uint64        `json:"offset"`
	Recovered    bool          `json:"recovered"`
	Publications []publication `json:"publications"`
}

type push struct {
	Channel     string       `json:"channel"`
	Pub         *publication `json:"pub"`
	Unsubscribe *unsubscribe `json:"unsubscribe"`
}

// A publication is a message of a channel.
type publication struct {
	Data   json.RawMessage `json:"data"`
	Offset uint64          `json:"offset"` // 0: the channel has no history

	// Gap says that publications are missing before this one, which the server could not recover.
	Gap bool `json:"-"`
}

// unsubscribe says that the server has ended a subscription; with a code from 2500 it is to be made again.
type unsubscribe struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

// A serverError is the error in a reply.
type serverError struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Temporary bool   `json:"temporary"`
}

func (e *serverError) Error() string {
	return fmt.Sprintf("centrifugo: the server answers %d, %s", e.Code, e.Message)
}

// lines puts commands into one message.
func lines(commands []command) (text []byte, err error) {
	for i, c := range commands {
		line, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			text = append(text, '\n')
		}
		text = append(text, line...)
	}
	return text, nil
}
