package loadgen

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/scenario"
	"github.com/seed004e8d11/websock/fanout"
)

// prepare gives the next attempt of a slot the path and the header fields of its connection.
func (g *LoadGen) prepare(_ context.Context, s *fanout.Slot, t *fanout.Target) (err error) {
	t.URL, t.Config.Header, err = Request(g.Scenario, g.First+g.numberOf(s), t.URL, t.Config.Header, time.Now())
	return err
}

// Request returns the URL and the header of a connection's opening handshake: those given, changed as the
// scenario says. A header field that is given wins over that of the scenario.
func Request(s *scenario.Scenario, connection int, to string, given http.Header, now time.Time) (string, http.Header, error) {
	path, fields, err := s.Request(connection, now)
	if err != nil {
		return "", nil, err
	}
	if path != "" {
		base, err := url.Parse(to)
		if err != nil {
			return "", nil, err
		}
		to = base.Scheme + "://" + base.Host + path
	}
	if len(fields) == 0 {
		return to, given, nil
	}
	for name, values := range given {
		fields[name] = values
	}
	return to, fields, nil
}
