package websock

import (
	"bytes"
	stdtls "crypto/tls"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// misbehavingHandlers do what handlers should not. What must not be possible is reported to t.
func misbehavingHandlers(t *testing.T) map[string]http.HandlerFunc {
	refuseTwice := func(w http.ResponseWriter, r *http.Request) {
		if c, err := Accept(w, r, nil); err == nil {
			t.Error("Accept took a stream that has a response, or was taken")
			c.Abort(nil)
		}
	}
	return map[string]http.HandlerFunc{
		"/write-after-Accept": func(w http.ResponseWriter, r *http.Request) {
			c, err := Accept(w, r, nil)
			if err != nil {
				return
			}
			if n, err := io.WriteString(w, "x"); err != http.ErrHijacked {
				t.Errorf("wrote %d bytes: %v", n, err)
			}
			w.Header().Set("X", "y")
			w.WriteHeader(500)
			control := http.NewResponseController(w)
			for name, err := range map[string]error{
				"Flush": control.Flush(), "SetReadDeadline": control.SetReadDeadline(time.Now()), "SetWriteDeadline": control.SetWriteDeadline(time.Now()),
			} {
				if err == nil {
					t.Errorf("%s works after Accept", name)
				}
			}
			refuseTwice(w, r)
			go c.SendText([]byte("hello"))
			c.SetHandler(Messages(func(c *Conn, op Opcode, m []byte) { c.SendFrame(op, true, m) }, nil))
		},
		"/Accept-after-write": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x"); refuseTwice(w, r) },
		"/Accept-after-flush": func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).Flush()
			refuseTwice(w, r)
		},
		"/Accept-at-the-end": func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			if c, err := Accept(w, r, nil); err == nil {
				c.Abort(nil)
			}
		},
		"/panic-after-Accept": func(w http.ResponseWriter, r *http.Request) {
			if c, err := Accept(w, r, nil); err == nil {
				defer c.Abort(nil)
			}
			panic(http.ErrAbortHandler)
		},
		"/Goexit-after-Accept": func(w http.ResponseWriter, r *http.Request) {
			Accept(w, r, &AcceptOptions{Handler: Messages(func(*Conn, Opcode, []byte) { runtime.Goexit() }, nil)})
			runtime.Goexit()
		},
		"/panic":         func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x"); panic(http.ErrAbortHandler) },
		"/Goexit":        func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x"); runtime.Goexit() },
		"/never-returns": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"/large":         func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 4<<20)) },
		"/reads":         func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) },
		"/sends": func(w http.ResponseWriter, r *http.Request) {
			c, err := Accept(w, r, &AcceptOptions{Limits: Limits{CloseTimeout: 100 * time.Millisecond}})
			if err != nil {
				return
			}
			defer c.Close()
			for c.SendBinary(make([]byte, 100_000)) == nil {
			}
		},
		"/echo": func(w http.ResponseWriter, r *http.Request) {
			Accept(w, r, &AcceptOptions{Handler: Messages(func(c *Conn, op Opcode, m []byte) { c.SendFrame(op, true, m) }, nil)})
		},
	}
}

// A hostileClient sends what is allowed, and at times what is not, in an order that makes no sense.
type hostileClient struct {
	*http2.Framer
	random *rand.Rand
	scheme string
	paths  []string
	next   uint32   // stream
	open   []uint32 // streams that it has not ended
}

func (c *hostileClient) oneIn(n int) bool { return c.random.IntN(n) == 0 }

// act sends one thing.
func (c *hostileClient) act() {
	switch n := len(c.open); {
	case n == 0 || c.oneIn(3):
		c.request()
	case c.oneIn(2):
		data := []string{"\x81\x82\x00\x00\x00\x00hi", "\x88\x82\x00\x00\x00\x00\x03\xe8", "no frame", ""}
		c.WriteData(c.open[c.random.IntN(n)], c.oneIn(10), []byte(data[c.random.IntN(len(data))]))
	case c.oneIn(2):
		i := c.random.IntN(n)
		c.WriteRSTStream(c.open[i], http2.ErrCodeCancel)
		c.open = append(c.open[:i], c.open[i+1:]...)
	default:
		c.WriteWindowUpdate(c.open[c.random.IntN(n)], uint32(c.random.IntN(1000)+1))
		c.WritePing(false, [8]byte{})
	}
}

func (c *hostileClient) request() {
	method := []string{"CONNECT", "CONNECT", "GET", "POST"}[c.random.IntN(4)]
	path := c.paths[c.random.IntN(len(c.paths))]
	list := []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: c.scheme}, {Name: ":authority", Value: "h"}, {Name: ":path", Value: path}}
	if method == "CONNECT" {
		list = append(list, hpack.HeaderField{Name: ":protocol", Value: "websocket"}, hpack.HeaderField{Name: "sec-websocket-version", Value: "13"})
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range list {
		encoder.WriteField(f)
	}
	c.WriteHeaders(http2.HeadersFrameParam{StreamID: c.next, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: method == "GET"})
	if c.oneIn(3) {
		c.WriteRSTStream(c.next, http2.ErrCodeCancel)
	} else if method != "GET" {
		c.open = append(c.open, c.next)
	}
	c.next += 2
}

// attack makes a connection, sends something, and leaves.
func (s *runningServer) attack(random *rand.Rand, paths []string) error {
	wire, err := net.Dial("tcp", s.addr)
	if err != nil {
		return err
	}
	defer wire.Close()
	if random.IntN(2) == 0 {
		wire.(*net.TCPConn).SetLinger(0) // the server gets a reset
	}
	conn := wire
	if s.roots != nil {
		conn = stdtls.Client(wire, &stdtls.Config{RootCAs: s.roots, ServerName: "example.com", NextProtos: []string{"h2"}})
	}
	conn.SetDeadline(time.Now().Add(time.Second)) // the server may read no more
	c := &hostileClient{Framer: http2.NewFramer(conn, conn), random: random, scheme: s.scheme(), paths: paths, next: 1}
	if c.oneIn(20) {
		io.WriteString(conn, http2.ClientPreface[:random.IntN(len(http2.ClientPreface))])
		return nil
	}
	io.WriteString(conn, http2.ClientPreface)
	if c.oneIn(20) {
		io.WriteString(conn, "this is not HTTP/2")
		return nil
	}
	if c.oneIn(3) {
		c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(random.IntN(100))})
	} else {
		c.WriteSettings()
	}
	if c.oneIn(2) {
		go io.Copy(io.Discard, conn) // otherwise it reads nothing
	}
	for range random.IntN(200) {
		c.act()
	}
	return nil
}

func TestHostileClientsLeaveNothingBehind(t *testing.T) {
	for _, start := range []string{"cleartext", "transport/tls"} {
		for name, f := range map[string]transport.Factory{"std": nil, "epoll": epoll.Transport()} {
			t.Run(start+" over "+name, func(t *testing.T) {
				mux, handlers := http.NewServeMux(), misbehavingHandlers(t)
				for path, h := range handlers {
					mux.HandleFunc(path, h)
				}
				paths := slices.Sorted(maps.Keys(handlers))
				s := serverStarts[start](t, &HTTP2Server{Transport: f}, &http.Server{
					Handler:  mux,
					ErrorLog: log.New(io.Discard, "", 0),
					HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 20},
				})
				before := runtime.NumGoroutine()
				var clients sync.WaitGroup
				for first := range 4 {
					clients.Go(func() {
						for i := range 15 {
							if err := s.attack(rand.New(rand.NewPCG(uint64(first), uint64(i))), paths); err != nil {
								t.Error(err)
							}
						}
					})
				}
				clients.Wait()
				waitUntil(func() bool {
					sessions := &s.configured.sessions
					sessions.mu.Lock()
					defer sessions.mu.Unlock()
					return len(sessions.of) == 0 && runtime.NumGoroutine() <= before
				})
			})
		}
	}
}
