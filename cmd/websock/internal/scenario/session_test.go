package scenario

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A play has a session and the time in it.
type play struct {
	t *testing.T
	*Session
	now time.Time
}

// begin begins the session of connection number 1 of 4.
func begin(t *testing.T, text string) *play {
	t.Helper()
	now := time.UnixMilli(1_700_000_000_000)
	return &play{t, mustParse(t, text).NewSession(1, 4, time.Minute, now), now}
}

// sends sends what is due after a time, and checks it.
func (p *play) sends(after time.Duration, want ...string) {
	p.t.Helper()
	p.now = p.now.Add(after)
	var got []string
	for range 100 {
		out, err := p.Next(p.now)
		if err != nil {
			got = append(got, "error: "+err.Error())
			break
		}
		if out == nil {
			break
		}
		got = append(got, string(out.Payload))
		p.Sent(p.now)
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		p.t.Errorf("sent %q, not %q", got, want)
	}
}

// receives receives a message after a time, and returns what it was.
func (p *play) receives(after time.Duration, msg string) Reception {
	p.now = p.now.Add(after)
	return p.Receive(p.now, []byte(msg))
}

// answered checks that a message is an answer, and how long that took.
func (p *play) answered(after time.Duration, msg string, latency time.Duration) {
	p.t.Helper()
	if r := p.receives(after, msg); !r.Answered || r.Latency != latency {
		p.t.Errorf("%s: %+v", msg, r)
	}
}

// wakes checks when something is due next.
func (p *play) wakes(after time.Duration) {
	p.t.Helper()
	if at, ok := p.Wake(); !ok || at.Sub(p.now) != after {
		p.t.Errorf("%v %v, not %v", at.Sub(p.now), ok, after)
	}
}

func TestMessagesInTurn(t *testing.T) {
	p := begin(t, `
open:
  - {send: 'login {{.Sequence}}', answer: any}
  - {send: hello, think: 1s}
messages:
  - {send: 'say {{.Sequence}}', answer: {regex: 'say (\d+)'}, think: 2s}
  - {send: bye}
`)
	p.sends(0, "login 1")
	p.sends(time.Second)
	p.wakes(59 * time.Second) // the timeout of the answer
	if r := p.receives(0, "welcome"); !r.Answered || !r.Opening {
		t.Errorf("%+v", r)
	}
	p.sends(0, "hello")
	p.Start(p.now)
	p.sends(0)
	p.wakes(time.Second)
	p.sends(time.Second, "say 3")
	if r := p.receives(0, "say 4"); r.Answered || !r.Unclaimed {
		t.Errorf("%+v", r)
	}
	p.answered(5*time.Second, "they say 3", 5*time.Second)
	p.wakes(2 * time.Second)
	p.sends(2*time.Second, "bye", "say 5")
	if r := p.receives(0, "they say 3"); r.Answered || !r.Unclaimed {
		t.Errorf("a second answer: %+v", r)
	}
	p.Stop(p.now)
	p.answered(0, "say 5", 0)
	p.sends(time.Hour)
}

func TestMessagesWithTimesOfTheirOwn(t *testing.T) {
	p := begin(t, `
messages:
  - {send: 'a {{.Sequence}}', every: 4s, answer: {regex: '(\d+)'}}
  - {send: b, every: 2s}
`)
	p.sends(time.Hour)
	p.Start(p.now)
	p.sends(0)
	p.wakes(500 * time.Millisecond) // the second of four connections
	p.sends(500*time.Millisecond, "b")
	p.sends(500*time.Millisecond, "a 2")
	if n := p.Due(p.now); n != 2 {
		t.Errorf("%d due", n)
	}
	p.sends(9*time.Second, "b", "b", "a 5", "b", "b", "a 8") // due at 1, 5 and 9, and at 0.5, 2.5 and so on; it is 10
	if n := p.Due(p.now); n != 6 {
		t.Errorf("%d due", n)
	}
	p.answered(time.Second, "8", 2*time.Second) // due at 9, sent at 10
	p.answered(0, "2", 10*time.Second)          // due and sent at 1
	if r := p.receives(0, "5"); r.ClosedLoop >= 0 || r.Latency != 6*time.Second {
		t.Errorf("%+v", r) // sent when two others were in flight
	}
	due, unsent := p.Stop(p.now.Add(4 * time.Second)) // at 10.5, 12.5 and 14.5, and 13
	if due != 4 || unsent != 4 {
		t.Errorf("%d due, %d unsent", due, unsent)
	}
	if due, unsent = p.Stop(p.now); due != 0 || unsent != 0 {
		t.Errorf("again: %d due, %d unsent", due, unsent)
	}
}

func TestTheClosedLoopHasOnlyWhatWasSentAlone(t *testing.T) {
	p := begin(t, "messages: [{send: '{{.Sequence}}', every: 4s, answer: {regex: '(\\d+)'}}]")
	p.Start(p.now)
	p.sends(9*time.Second, "1", "2", "3")
	if r := p.receives(time.Second, "1"); r.ClosedLoop != time.Second || r.Latency != 9*time.Second {
		t.Errorf("%+v", r)
	}
	if r := p.receives(0, "2"); r.ClosedLoop >= 0 || r.Latency != 5*time.Second {
		t.Errorf("%+v", r)
	}
}

func TestAMessageThatCanNotBeSentStaysDue(t *testing.T) {
	p := begin(t, "messages: [{send: '{{.Sequence}}', every: 4s}]")
	p.Start(p.now)
	p.now = p.now.Add(2 * time.Second)
	out, _ := p.Next(p.now)
	p.now = p.now.Add(6 * time.Second)
	again, err := p.Next(p.now)
	if out == nil || again != out || err != nil || string(again.Payload) != "1" {
		t.Errorf("%+v %v", again, err)
	}
	if late := p.Sent(p.now); late != 7*time.Second {
		t.Errorf("%v late", late)
	}
	p.sends(0, "2")
}

func TestAnswersInAnyOrderAndRepeatedIDs(t *testing.T) {
	p := begin(t, `messages: [{send: '{"msg":{"id":7}}', every: 4s, answer: {json: re, sent: msg.id}}]`)
	p.Start(p.now)
	p.sends(time.Second, `{"msg":{"id":7}}`)
	p.sends(4*time.Second, `{"msg":{"id":7}}`)
	p.answered(time.Second, `{"re":"7"}`, 5*time.Second) // the oldest
	p.answered(time.Second, `{"re":7}`, 2*time.Second)
	if r := p.receives(0, `{"re":7}`); r.Answered || !r.Unclaimed {
		t.Errorf("%+v", r)
	}
	for _, msg := range []string{"", "not JSON", "\x00\xff", `{"re":null}`, `{"re":8}`, `[[[[`} {
		if r := p.receives(0, msg); r.Answered {
			t.Errorf("%s: %+v", msg, r)
		}
	}
}

func TestTheOldestMessageIsAnswered(t *testing.T) {
	p := begin(t, `
messages:
  - {send: b, every: 8s, answer: any}
  - {send: a, every: 4s, answer: {hex: "41"}}
`)
	p.Start(p.now)
	p.sends(3*time.Second, "a", "b")
	p.answered(0, "A", 2*time.Second)
	p.answered(0, "A", time.Second)
}

func TestAnswersThatDoNotCome(t *testing.T) {
	p := begin(t, `messages: [{send: '{{.Sequence}}', think: 1s, timeout: 5s, answer: {regex: '(\d+)'}}, {send: x, think: 1h}]`)
	p.Start(p.now)
	p.sends(0, "1")
	p.wakes(5 * time.Second)
	for after, want := range []int{0, 0, 0, 0, 0, 1, 0} {
		if n, failed := p.Expire(p.now.Add(time.Duration(after) * time.Second)); n != want || failed {
			t.Errorf("after %d s: %d, %v", after, n, failed)
		}
	}
	p.sends(6*time.Second, "x") // it goes on
	if p.InFlight() != 0 {
		t.Error(p.InFlight())
	}

	p = begin(t, "open: [{send: login, answer: any}]")
	p.sends(0, "login")
	if n, failed := p.Expire(p.now.Add(time.Minute)); n != 1 || !failed {
		t.Errorf("%d, %v", n, failed)
	}
}

func TestPendingAnswersAreBounded(t *testing.T) {
	p := begin(t, `messages: [{send: a, every: 4us, answer: {regex: a}}, {send: b, every: 1s}]`)
	p.Start(p.now)
	p.now = p.now.Add(time.Second)
	sent := map[string]int{}
	for range 2 * maxPending {
		out, _ := p.Next(p.now)
		if out == nil {
			break
		}
		sent[string(out.Payload)]++
		p.Sent(p.now)
	}
	if sent["a"] != maxPending || sent["b"] != 1 || p.InFlight() != maxPending {
		t.Errorf("%v", sent)
	}
	p.answered(0, "a", time.Second-time.Microsecond)
	p.sends(0, "a")
	if n, _ := p.Expire(p.now.Add(time.Minute)); n != maxPending {
		t.Errorf("%d expired", n)
	}
}

func TestAMessageThatCanNotBeMade(t *testing.T) {
	p := begin(t, `
messages:
  - {send: '{{if lt .Sequence 3}}{"id":{{.Sequence}}}{{end}}', think: 1s, answer: {json: id}}
`)
	p.Start(p.now)
	p.sends(0, `{"id":1}`)
	p.receives(0, `{"id":1}`)
	p.sends(time.Second, `{"id":2}`)
	p.receives(0, `{"id":2}`)
	p.sends(time.Second, `error: `+errNoID.Error()+`: ""`)

	p = begin(t, "messages: [{send: 'a{{slice \"abc\" .Sequence}}', think: 1s}]")
	p.Start(p.now)
	p.sends(0, "abc")
	p.sends(time.Second, "ac")
	p.sends(time.Second, "a")
	p.now = p.now.Add(time.Second)
	if _, err := p.Next(p.now); err == nil || !strings.Contains(err.Error(), "out of range") {
		t.Error(err)
	}
}

func TestWhatReceivedMessagesAre(t *testing.T) {
	p := begin(t, `
pushed: {json: t, unit: ms}
count: {ticks: {json: type, equals: tick}, all: any}
errors: {refused: {json: error}}
`)
	for msg, want := range map[string]Reception{
		`{"type":"tick","t":1699999999000}`: {Timestamp: true, OneWay: time.Second, Counts: 3},
		`{"t":1700000001000}`:               {Timestamp: true, OneWay: -time.Second, Counts: 2},
		`{"error":"no"}`:                    {Counts: 2, Failures: 1},
		"":                                  {Counts: 2},
	} {
		if r := p.receives(0, msg); r != want {
			t.Errorf("%s: %+v", msg, r)
		}
	}
}

func TestEveryEventInEveryState(t *testing.T) {
	for from := range states {
		for e := range events {
			to := transitions[from][e]
			if to == opening {
				t.Errorf("event %d leads from %d to the beginning", e, from)
			}
			if from == stopped && to != stopped || e == eventStop && to != stopped {
				t.Errorf("event %d leads from %d to %d", e, from, to)
			}
		}
	}
}

func TestARoundTripAllocatesLittle(t *testing.T) {
	p := begin(t, `messages: [{send: '{"id":{{.Sequence}}}', think: 0s, answer: {json: id}}]`)
	p.Start(p.now)
	answer := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() {
		out, err := p.Next(p.now)
		if out == nil || err != nil {
			t.Fatal(out, err)
		}
		answer = append(answer[:0], out.Payload...)
		p.Sent(p.now)
		if r := p.Receive(p.now, answer); !r.Answered {
			t.Fatalf("%+v", r)
		}
	}); n > 4 { // two of gjson for each ID
		t.Errorf("%v allocations", n)
	}
}
