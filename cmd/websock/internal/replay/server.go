package replay

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/listen"
)

// Server sends what the recorded server sent to every client, until ctx ends: to the first client what is on
// the first connection of the recording, to the next what is on the next, and then from the beginning. It
// reports whether Options.Check found a difference.
func Server(ctx context.Context, streams console.Streams, o Options, server listen.Options) (differs bool, err error) {
	if len(server.Subprotocols) == 0 {
		in, err := o.File.Conn(0)
		if err != nil {
			return false, err
		}
		if in.Subprotocol != "" {
			server.Subprotocols = []string{in.Subprotocol}
		}
		in.Close()
	}
	var clients, differing atomic.Int64
	err = listen.Run(ctx, streams, server, func(_ context.Context, conn *websock.Conn, _ *http.Request) {
		s := &session{Options: &o, Streams: streams, conn: conn}
		s.number = int((clients.Add(1) - 1) % int64(o.File.Conns()))
		if s.run() {
			differing.Add(1)
		}
	})
	return differing.Load() > 0, err
}

// A session is a connection of a Server.
type session struct {
	*Options
	console.Streams
	conn   *websock.Conn
	number int // in the recording
}

// run plays the server's side, and reports whether the client differs from that of the recording.
func (s *session) run() (differs bool) {
	who := s.conn.RemoteAddr().String() + ": "
	p := &player{Options: s.Options, number: s.number, side: websock.Server, rounds: s.Count, conn: s.conn}
	if s.Check {
		p.check = &checker{Options: s.Options, out: s.Out, who: who, number: s.number, side: websock.Client, rounds: s.Count}
	}
	result, err := p.play()
	if err != nil {
		fmt.Fprintf(s.Err, "%s%s\n", who, console.Printable([]byte(err.Error())))
	}
	result.print(s.Out, who, s.Check)
	return s.Check && (result.differences > 0 || result.unlike != nil || err != nil)
}
