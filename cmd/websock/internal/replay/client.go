package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/connect"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// Client opens the connections of the recording one after the other, and sends what its client sent. url
// replaces the recorded one, unless it is "". It ends with the first that is not as recorded. The end of
// ctx is an interrupt. An error is one of the file.
func Client(ctx context.Context, streams console.Streams, o Options, url string, config websock.Config) (Result, error) {
	if config.Mux != nil {
		defer connect.CloseMux(config.Mux)
	}
	config.KeepAlive.Ping = max(o.Wait, leastSilence)
	for round := 1; o.Count == 0 || round <= o.Count; round++ {
		for number := range o.File.Conns() {
			c := &client{Options: &o, Streams: streams, number: number, url: url, config: config}
			result, err := c.run(ctx)
			if err != nil || result.Failed || result.Outcome != connect.ClosedNormally {
				return result, err
			}
		}
	}
	return Result{}, nil
}

// leastSilence is how long a server may be silent at least before it is pinged: Wait can be shorter than an
// answer takes.
const leastSilence = 5 * time.Second

// A client plays one connection.
type client struct {
	*Options
	console.Streams
	number int
	url    string
	config websock.Config
}

func (c *client) run(ctx context.Context) (Result, error) {
	conn, outcome, err := c.dial(ctx)
	if conn == nil {
		return Result{Outcome: outcome}, err
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		conn.Close()
	})
	p := &player{Options: c.Options, number: c.number, side: websock.Client, rounds: 1, conn: conn}
	if c.Check {
		p.check = &checker{Options: c.Options, out: c.Out, number: c.number, side: websock.Server, rounds: 1}
	}
	result, err := p.play()
	if !stop() {
		<-stopped
		return Result{Outcome: connect.InterruptedByUser}, err
	}
	result.print(c.Out, "", c.Check)
	return c.result(&result), err
}

// dial opens the connection. If it can't, the user has been told.
func (c *client) dial(ctx context.Context) (*websock.Conn, connect.Outcome, error) {
	in, err := c.File.Conn(c.number)
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()
	switch {
	case c.url != "":
	case in.QueryHidden:
		return nil, 0, fmt.Errorf("%s: the recording hides the values of the query: give the URL with -url", in.URL)
	default:
		c.url = in.URL
	}
	if len(c.config.Subprotocols) == 0 && in.Subprotocol != "" {
		c.config.Subprotocols = []string{in.Subprotocol}
	}
	conn, outcome, err := connect.Dial(ctx, c.url, c.config)
	if err != nil {
		fmt.Fprintf(c.Err, "%s\n", console.Printable([]byte(console.ErrorText(err))))
	}
	return conn, outcome, nil
}

// result returns what a connection means for the exit code.
func (c *client) result(p *played) Result {
	r := Result{Failed: p.unlike != nil || c.Check && p.differences > 0}
	if p.unlike != nil && p.err != nil {
		r.Outcome = connect.EndOutcome(p.err)
	}
	return r
}
