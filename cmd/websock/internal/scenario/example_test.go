package scenario_test

import (
	"fmt"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/scenario"
)

func Example() {
	s, err := scenario.Parse("login.yaml", []byte(`
open:
  - send: '{"op":"login","id":{{.Sequence}}}'
    answer: {json: id}
messages:
  - send: '{"op":"ping","id":{{.Sequence}}}'
    every: 1s
`), scenario.Sources{})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.UnixMilli(0)
	session := s.NewSession(0, 1, time.Minute, now)
	session.Start(now)
	next := func() {
		out, _ := session.Next(now)
		fmt.Printf("%s\n", out.Payload)
		session.Sent(now)
	}
	next()
	now = now.Add(time.Millisecond)
	fmt.Println(session.Receive(now, []byte(`{"id":1,"ok":true}`)).Answered)
	next()
	// Output:
	// {"op":"login","id":1}
	// true
	// {"op":"ping","id":2}
}
