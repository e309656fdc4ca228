package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

// startTestReceiver starts a receiver that sends with a function, and waits until NATS knows the keys.
func startTestReceiver(t testing.TB, c *nats.Conn, h *tokens, keys []string, send func(string, websock.Opcode, []byte) (bool, error)) *receiver {
	t.Helper()
	r := startReceiver(receiverOptions{prefix: "test", conn: c, holds: h.holds, send: send, log: discardLog})
	t.Cleanup(r.stop)
	witness(t, func() string { return fmt.Sprintf("receiver: %+v", r.stats()) })
	for _, key := range keys {
		r.open(key)
	}
	waitSubscribed(t, r, len(keys))
	return r
}

func waitSubscribed(t testing.TB, r *receiver, n int) {
	t.Helper()
	waitUntil(t, "the keys are subscribed", func() bool { return r.stats().Subscribed == n })
	if err := r.conn.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
}

// sendWith returns the function with which a receiver sends to the slots of a Group.
func sendWith(g *fanout.Group) func(string, websock.Opcode, []byte) (bool, error) {
	return func(key string, op websock.Opcode, p []byte) (bool, error) {
		s := g.Find(key)
		if s == nil {
			return false, fanout.ErrUnknownKey
		}
		up := s.State() == fanout.Up
		err := s.Send(op, p)
		return !up, err
	}
}

func TestMessagesAreSentByTheMemberThatHoldsTheKey(t *testing.T) {
	n := startNATS(t)
	server := startPeer(t)
	h := &tokens{of: map[string]uint64{"a": 1, "b c": 1, "down": 1}}
	g := startSlots(t, server, []string{"a", "b c", "not held"}, fanout.Options{})
	r := startTestReceiver(t, connectNATS(t, n.addr()), h, []string{"a", "b c", "not held", "down"}, sendWith(g))
	c := connectNATS(t, n.addr())
	for _, test := range []struct {
		key  string
		op   websock.Opcode
		p    string
		want error
	}{
		{"a", websock.OpText, "text", nil},
		{"a", websock.OpBinary, "binary\xff", nil},
		{"b c", websock.OpText, "", nil},
		{"a", websock.OpText, "bad\xff", websock.ErrInvalidUTF8},
		{"a", websock.OpPing, "", websock.ErrFrameOrder},
		{"down", websock.OpText, "x", fanout.ErrDown},
		{"not held", websock.OpText, "x", fanout.ErrDown},
		{"unknown", websock.OpText, "x", ErrNobody},
		{strings.Repeat("long", 1000), websock.OpText, "x", ErrNobody},
		{"a", websock.OpText, strings.Repeat("x", 2<<20), nats.ErrMaxPayload},
	} {
		if err := Send(inTime(t), c, "test", test.key, test.op, []byte(test.p)); !errors.Is(err, test.want) {
			t.Errorf("%s, %v %.10q: %v, want %v", test.key, test.op, test.p, err, test.want)
		}
	}
	for key, want := range map[string][]string{
		"a":   {"text text", "binary binary\xff"},
		"b c": {"text "},
	} {
		waitUntil(t, "the messages have come", func() bool { return len(server.receivedBy(key)) >= len(want) })
		if got := server.receivedBy(key); !slices.Equal(got, want) {
			t.Errorf("%s received %q, want %q", key, got, want)
		}
	}
	if got := server.receivedBy("not held"); got != nil {
		t.Errorf("%q was sent although the key isn't held", got)
	}
	want := ReceiveStats{Received: 6, Sent: 3, Down: 2, Refused: 1, Subscribed: 4}
	if got := r.stats(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestErrorsOfAMemberReachTheSender(t *testing.T) {
	n := startNATS(t)
	c := connectNATS(t, n.addr())
	h := &tokens{of: map[string]uint64{"": 1}}
	type result struct {
		kept bool
		err  error
	}
	results := map[string]result{
		"kept":    {kept: true},
		"full":    {err: &websock.LimitError{Limit: "SendQueue", Err: websock.ErrSendQueueFull}},
		"removed": {err: fanout.ErrRemoved},
		"closed":  {err: &websock.CloseError{Code: websock.CloseAbnormal}},
		"order":   {err: websock.ErrFrameOrder},
		"other":   {err: errors.New("strange")},
	}
	var keys []string
	for key := range results {
		keys = append(keys, key)
	}
	r := startTestReceiver(t, c, h, keys, func(key string, _ websock.Opcode, _ []byte) (bool, error) {
		return results[key].kept, results[key].err
	})
	for key, want := range map[string]error{
		"kept":    nil,
		"full":    websock.ErrSendQueueFull,
		"removed": fanout.ErrDown,
		"closed":  fanout.ErrDown,
	} {
		if err := Send(inTime(t), c, "test", key, websock.OpText, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", key, err, want)
		}
	}
	for key, want := range map[string]SendError{
		"order": {RefusedOpcode, websock.ErrFrameOrder.Error()},
		"other": {RefusedOther, "strange"},
	} {
		var got *SendError
		if err := Send(inTime(t), c, "test", key, websock.OpText, nil); !errors.As(err, &got) || *got != want {
			t.Errorf("%s: %#v, want %#v", key, err, want)
		}
	}
	if s := r.stats(); s.Kept != 1 || s.Down != 2 || s.Refused != 3 {
		t.Errorf("%+v", s)
	}
}

func TestOtherProgramsGetRepliesInJSON(t *testing.T) {
	n := startNATS(t)
	c := connectNATS(t, n.addr())
	h := &tokens{of: map[string]uint64{"": 1}}
	startTestReceiver(t, c, h, []string{"a"}, func(string, websock.Opcode, []byte) (bool, error) { return false, nil })
	for _, test := range []struct{ opcode, want string }{
		{"", `{"status":"sent"}`},
		{"text", `{"status":"sent"}`},
		{"binary", `{"status":"sent"}`},
		{"ping", `{"status":"refused","kind":"opcode","error":"the opcode is neither text nor binary"}`},
	} {
		reply, err := c.RequestMsg(&nats.Msg{Subject: "test.tx.a", Header: nats.Header{OpcodeHeader: {test.opcode}}}, patience)
		if err != nil || string(reply.Data) != test.want {
			t.Errorf("opcode %q: %s %v, want %s", test.opcode, reply.Data, err, test.want)
		}
	}
}

func TestSendersUnderstandOnlyReplies(t *testing.T) {
	for reply, want := range map[string]string{
		`{"status":"sent"}`:  "",
		`{"status":"later"}`: `cluster: invalid reply: status "later"`,
		`{}`:                 `cluster: invalid reply: status ""`,
		`{"status":"refused","kind":"busy","error":"x"}`: "cluster: the message was refused: x",
	} {
		got := ""
		if err := parseReply([]byte(reply)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", reply, got, want)
		}
	}
	var syntax *json.SyntaxError
	if err := parseReply([]byte("{")); !errors.As(err, &syntax) {
		t.Errorf("%v, want a syntax error", err)
	}
}

func TestTheMessagesOfAKeyAreSentInOrder(t *testing.T) {
	const messages = 500
	n := startNATS(t)
	server, keys := startPeer(t), keysUpTo(10)
	g := startSlots(t, server, keys, fanout.Options{})
	startTestReceiver(t, connectNATS(t, n.addr()), &tokens{of: map[string]uint64{"": 1}}, keys, sendWith(g))
	c := connectNATS(t, n.addr())
	for i := range messages {
		for _, key := range keys {
			if err := c.Publish("test.tx."+key, []byte(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if i%50 > 0 {
			continue
		}
		for _, key := range keys { // no faster than each of the workers, among which they are divided at random
			if err := Send(inTime(t), c, "test", key, websock.OpBinary, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, key := range keys {
		waitUntil(t, "all have come", func() bool {
			return slices.Contains(server.receivedBy(key), fmt.Sprint("text ", messages-1))
		})
		got := slices.DeleteFunc(slices.Clone(server.receivedBy(key)), func(s string) bool { return s == "binary " })
		for i, text := range got {
			if text != fmt.Sprint("text ", i) {
				t.Fatalf("%s: %q at %d", key, text, i)
			}
		}
	}
}

func TestWhatComesTooFastIsRefused(t *testing.T) {
	n := startNATS(t)
	c := connectNATS(t, n.addr())
	sending, block := make(chan struct{}, 10000), make(chan struct{})
	r := startTestReceiver(t, c, &tokens{of: map[string]uint64{"": 1}}, []string{"a"}, func(string, websock.Opcode, []byte) (bool, error) {
		sending <- struct{}{}
		<-block
		return false, nil
	})
	unblock := sync.OnceFunc(func() { close(block) })
	t.Cleanup(unblock)
	replies := make(chan *nats.Msg, 10000)
	if _, err := c.ChanSubscribe("replies", replies); err != nil {
		t.Fatal(err)
	}
	const messages = 3 * receiveMessages
	for i := range messages {
		if err := c.PublishRequest("test.tx.a", "replies", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-sending // it takes no place of those that wait
		}
	}
	waitUntil(t, "all have come, and all are refused but those that there is room for", func() bool {
		s := r.stats()
		return s.Received == messages && s.Refused == messages-receiveMessages-1
	})
	unblock()
	statuses := map[string]int{}
	for range messages {
		var reply sendReply
		if err := json.Unmarshal((<-replies).Data, &reply); err != nil {
			t.Fatal(err)
		}
		statuses[reply.Status+string(reply.Kind)]++
	}
	if statuses["sent"] != receiveMessages+1 || statuses["refusedbusy"] != messages-receiveMessages-1 {
		t.Errorf("replies: %v", statuses)
	}
}

func TestNothingIsHeardForAKeyThatIsClosed(t *testing.T) {
	n := startNATS(t)
	c := connectNATS(t, n.addr())
	var calls atomic.Int64
	r := startTestReceiver(t, c, &tokens{of: map[string]uint64{"": 1}}, []string{"a", "b"}, func(string, websock.Opcode, []byte) (bool, error) {
		calls.Add(1)
		return false, nil
	})
	r.close("a")
	r.open("b")                          // again
	r.open(strings.Repeat("long", 1000)) // which NATS doesn't take
	waitSubscribed(t, r, 1)
	if err := Send(inTime(t), c, "test", "a", websock.OpText, nil); !errors.Is(err, ErrNobody) {
		t.Errorf("%v, want ErrNobody", err)
	}
	r.open("a")
	waitSubscribed(t, r, 2)
	for _, key := range []string{"a", "b"} {
		if err := Send(inTime(t), c, "test", key, websock.OpText, nil); err != nil {
			t.Error(err)
		}
	}
	if calls.Load() != 2 {
		t.Errorf("%d messages were sent, want 2", calls.Load())
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	c := connectNATS(t, startNATS(t).addr())
	if _, err := c.Subscribe("test.tx.a", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := Send(ctx, c, "test", "a", websock.OpText, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want that of the context", err)
	}
}

func TestKeysAreSubscribedAgainWhenNATSComesBack(t *testing.T) {
	n := startNATS(t)
	c := connectNATS(t, n.addr())
	r := startTestReceiver(t, c, &tokens{of: map[string]uint64{"": 1}}, []string{"a"}, func(string, websock.Opcode, []byte) (bool, error) {
		return false, nil
	})
	n.stop()
	waitUntil(t, "the connection is lost", func() bool { return !c.IsConnected() })
	r.open("b") // meanwhile
	n.start()
	waitUntil(t, "it is back", c.IsConnected)
	waitSubscribed(t, r, 2)
	for _, key := range []string{"a", "b"} {
		if err := Send(inTime(t), c, "test", key, websock.OpText, nil); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}
