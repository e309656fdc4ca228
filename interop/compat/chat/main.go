// Command chat is a chat server and three clients of it, as programs are written with
// gorilla/websocket: a goroutine for each direction, pings, deadlines, a close message at the end.
// Package compat runs it with compat/gorilla, too, by a change of the import alone.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	writeWait = 30 * time.Second
	pongWait  = time.Minute
)

// A said is what one member has said to all.
type said struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// A room has members. Each has a channel of what is to be written to it.
type room struct {
	mu      sync.Mutex
	members map[chan said]bool
}

func (r *room) join() chan said {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := make(chan said, 16)
	r.members[c] = true
	return c
}

func (r *room) leave(c chan said) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members[c] {
		delete(r.members, c)
		close(c)
	}
}

func (r *room) say(s said) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.members {
		select {
		case c <- s:
		default: // too slow
			delete(r.members, c)
			close(c)
		}
	}
}

var upgrader = websocket.Upgrader{
	ReadBufferSize:  1024,
	WriteBufferSize: 1024,
	CheckOrigin:     func(*http.Request) bool { return true },
}

func (r *room) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	outgoing := r.join()
	defer r.leave(outgoing)
	conn, err := upgrader.Upgrade(w, request, nil)
	if err != nil {
		log.Print(err)
		return
	}
	go write(conn, outgoing)
	conn.SetReadLimit(512)
	conn.SetReadDeadline(time.Now().Add(pongWait))
	conn.SetPongHandler(func(string) error { return conn.SetReadDeadline(time.Now().Add(pongWait)) })
	for {
		var s said
		if err := conn.ReadJSON(&s); err != nil {
			if websocket.IsUnexpectedCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway) {
				log.Print(err)
			}
			return
		}
		r.say(s)
	}
}

// write writes what is said, and pings in between, and closes the connection in the end.
func write(conn *websocket.Conn, outgoing chan said) {
	defer conn.Close()
	pings := time.NewTicker(pongWait / 2)
	defer pings.Stop()
	for {
		select {
		case s, ok := <-outgoing:
			conn.SetWriteDeadline(time.Now().Add(writeWait))
			if !ok {
				conn.WriteMessage(websocket.CloseMessage, []byte{})
				return
			}
			if err := conn.WriteJSON(s); err != nil {
				return
			}
		case <-pings.C:
			if conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)) != nil {
				return
			}
		}
	}
}

// visit joins the room, says three things, and returns what it has heard when it has heard count.
func visit(url, name string, joined *sync.WaitGroup, count int) ([]string, error) {
	conn, _, err := websocket.DefaultDialer.Dial(url, nil)
	joined.Done()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	joined.Wait()
	for i := range 3 {
		if err := conn.WriteJSON(said{name, fmt.Sprint("message ", i)}); err != nil {
			return nil, err
		}
	}
	conn.SetReadDeadline(time.Now().Add(pongWait))
	var heard []string
	for len(heard) < count {
		messageType, message, err := conn.ReadMessage()
		if err != nil {
			return nil, err
		}
		heard = append(heard, fmt.Sprintf("%d %s", messageType, strings.TrimSpace(string(message))))
	}
	err = conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "bye"))
	if err != nil {
		return nil, err
	}
	conn.SetReadDeadline(time.Now().Add(writeWait))
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		return nil, fmt.Errorf("in the end: %w", err)
	}
	return heard, nil
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(listener, &room{members: map[chan said]bool{}})
	names := []string{"Ada", "Grace", "Edsger"}
	var joined, left sync.WaitGroup
	joined.Add(len(names))
	for _, name := range names {
		left.Go(func() {
			heard, err := visit("ws://"+listener.Addr().String(), name, &joined, 3*len(names))
			if err != nil {
				log.Printf("%s: %v", name, err)
				os.Exit(1)
			}
			slices.Sort(heard) // the order of different members is that of chance
			fmt.Printf("%s\n", strings.Join(heard, "\n"))
		})
	}
	left.Wait()
}
