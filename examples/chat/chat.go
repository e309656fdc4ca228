package main

import (
	_ "embed"
	"errors"
	"log"
	"net/http"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

//go:embed page.html
var page []byte

// A chat is a room: every message goes to all who are in it.
type chat struct {
	http.ServeMux

	mu     sync.Mutex
	people map[*websock.Conn]bool
}

func newChat() *chat {
	c := &chat{people: map[*websock.Conn]bool{}}
	c.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	})
	c.HandleFunc("GET /room", c.enter)
	return c
}

// enter adds a person to the room. websock.Accept refuses pages of other origins.
func (c *chat) enter(w http.ResponseWriter, r *http.Request) {
	conn, err := websock.Accept(w, r, &websock.AcceptOptions{
		Subprotocols: []string{"chat"},
		Compression:  websock.DefaultCompression,
		Limits:       websock.Limits{MessageSize: 4 << 10},
		KeepAlive:    websock.KeepAlive{Ping: 30 * time.Second},
	})
	if err != nil {
		log.Print(err) // Accept has answered the request
		return
	}
	c.mu.Lock()
	c.people[conn] = true
	c.mu.Unlock()
	if err := conn.SetHandler(websock.Messages(c.say, c.leave)); err != nil {
		conn.Close() // it has ended already: say could not send to it
		c.leave(conn, err)
	}
}

// say sends a message to everybody. A send blocks if the peer does not read, for a second at most.
func (c *chat) say(_ *websock.Conn, op websock.Opcode, msg []byte) {
	if op != websock.OpText {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.people {
		conn.SetSendDeadline(time.Now().Add(time.Second))
		err := conn.SendText(msg)
		if err != nil && !errors.Is(err, websock.ErrClosed) {
			go conn.Abort(err)
		}
	}
}

func (c *chat) leave(conn *websock.Conn, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.people, conn)
}
