package main

import (
	"encoding/json"
	"errors"
	"log"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/seed004e8d11/websock"
)

// simulate serves a connection of a simulated upstream, where every topic is a number that changes twice a
// second. After a minute it goes away for once, as servers do.
func simulate(w http.ResponseWriter, r *http.Request) {
	conn, err := websock.Accept(w, r, nil)
	if err != nil {
		log.Print(err)
		return
	}
	defer conn.Close()
	values := map[string]float64{}
	const tick = time.Second / 2
	next, end := time.Now().Add(tick), time.Now().Add(time.Minute)
	for msg := []byte(nil); time.Now().Before(end); {
		conn.SetRecvDeadline(next)
		_, msg, err = conn.RecvMessage(msg)
		switch {
		case errors.Is(err, websock.ErrTimeout): // msg has the beginning of a message
			next = next.Add(tick)
			for topic, value := range values {
				values[topic] = value + rand.NormFloat64()
				text, _ := json.Marshal(map[string]any{"topic": topic, "value": values[topic]})
				conn.SendText(text)
			}
			continue
		case err != nil:
			return
		}
		var r request
		if err := json.Unmarshal(msg, &r); err != nil {
			return
		}
		if r.Subscribe != "" {
			values[r.Subscribe] = 100
		}
		delete(values, r.Unsubscribe)
		msg = msg[:0]
	}
	conn.CloseWith(websock.CloseServiceRestart, "back soon")
}
