package memory

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// received returns the messages in the frames that a client sent.
func received(t *testing.T, frames []byte) (messages []string) {
	dec := engine.NewDecoder(websock.Server, engine.Limits{})
	var msg []byte
	for len(frames) > 0 {
		e, n, err := dec.Next(frames)
		if err != nil {
			t.Fatal(err)
		}
		frames = frames[n:]
		if e.Kind != engine.EventData {
			continue
		}
		if msg = append(msg, e.Payload...); e.Header.Fin && e.Header.Remaining == 0 {
			messages = append(messages, string(msg))
			msg = msg[:0]
		}
	}
	return messages
}

// A contestant that doesn't do its work would be the fastest.
func TestContestantsDoTheWork(t *testing.T) {
	const times = 5
	works := map[string]func(Client) error{"Receive": Client.Receive, "Reply": Client.Reply, "Send": Client.Send}
	for _, c := range Contestants {
		for what, work := range works {
			for _, op := range []websock.Opcode{websock.OpText, websock.OpBinary} {
				for _, size := range []int{1, 125, 126, 1 << 16, 1 << 20} {
					for _, oneByOne := range []bool{false, true} {
						payload := bytes.Repeat([]byte("payload"), size/7+1)[:size]
						n := New(op, payload, times, oneByOne)
						n.Keep = true
						client, err := c.Dial(n, Work{Op: op, Payload: payload, Times: times})
						if err != nil {
							t.Fatal(c.Name, err)
						}
						switch err := work(client); {
						case err == ErrCannot && strings.HasPrefix(c.Name, "websock-decoder"):
							continue
						case err != nil:
							t.Errorf("%s %s %v, %d bytes: %v", c.Name, what, op, size, err)
							continue
						case what == "Receive":
							continue
						}
						got := received(t, n.Sent)
						for i, msg := range got {
							if msg != string(payload) {
								t.Errorf("%s %s %v, %d bytes: message %d is another", c.Name, what, op, size, i)
							}
						}
						if len(got) != times {
							t.Errorf("%s %s %v, %d bytes: %d messages of %d", c.Name, what, op, size, len(got), times)
						}
					}
				}
			}
		}
	}
}

func TestIncompleteWorkIsAnError(t *testing.T) {
	for _, c := range Contestants {
		client, err := c.Dial(New(websock.OpBinary, []byte("payload"), 4, false), Work{Op: websock.OpBinary, Payload: []byte("payload"), Times: 5})
		if err != nil {
			t.Fatal(c.Name, err)
		}
		if err := client.Receive(); err == nil {
			t.Errorf("%s has received 5 messages of 4", c.Name)
		}
	}
}
