package websock

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// deaf is a server that accepts and then neither reads nor sends.
func deaf(t testing.TB) string {
	over := make(chan struct{})
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		<-over
		c.Abort(nil)
	}))
	t.Cleanup(func() { close(over) })
	return url
}

func checkIdle(t *testing.T, err error) {
	t.Helper()
	var closed *engine.CloseError
	if !errors.As(err, &closed) || closed.Code != engine.CloseAbnormal || !closed.Local ||
		!errors.Is(err, engine.ErrIdle) || errors.Is(err, engine.ErrTimeout) {
		t.Errorf("%#v", err)
	}
}

func TestAPeerThatAnswersPingsIsKept(t *testing.T) {
	c, err := Dial(t.Context(), server(t, echo(t, nil)), &Config{KeepAlive: KeepAlive{Ping: 20 * time.Millisecond, Timeout: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for c.Stats().PongsReceived < 3 {
		if _, _, err := c.RecvTimeout(nil, 10*time.Millisecond); err != engine.ErrTimeout {
			t.Fatal(err)
		}
	}
	roundTrip(t, c)
}

func TestADeafPeerIsGivenUp(t *testing.T) {
	for name, k := range map[string]KeepAlive{
		"after a ping":   {Ping: 50 * time.Millisecond},
		"without a ping": {Timeout: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Dial(t.Context(), deaf(t), &Config{KeepAlive: k})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _, err = c.RecvMessage(nil)
			checkIdle(t, err)
			checkIdle(t, c.SendText(nil))
			checkIdle(t, c.Err())
			pinged := c.Stats().WireSent > 0
			if pinged != (k.Ping > 0) {
				t.Error("pinged:", pinged)
			}
		})
	}
}

func TestAHandlerIsToldThatThePeerWasGivenUp(t *testing.T) {
	closed := make(chan error, 1)
	c, err := Dial(t.Context(), deaf(t), &Config{
		KeepAlive: KeepAlive{Timeout: 50 * time.Millisecond},
		Handler: engine.Messages(func(*engine.Conn, engine.Opcode, []byte) {}, func(_ *engine.Conn, err error) {
			closed <- err
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	checkIdle(t, <-closed)
}

func TestAPausedConnectionIsNotGivenUp(t *testing.T) {
	closed := make(chan error, 1)
	c, err := Dial(t.Context(), deaf(t), &Config{
		KeepAlive: KeepAlive{Timeout: 80 * time.Millisecond},
		Handler: engine.Messages(func(*engine.Conn, engine.Opcode, []byte) {}, func(_ *engine.Conn, err error) {
			closed <- err
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Pause()
	select {
	case err := <-closed:
		t.Fatal(err)
	case <-time.After(400 * time.Millisecond):
	}
	c.Resume()
	checkIdle(t, <-closed)
}

func TestAServerGivesUpASilentClient(t *testing.T) {
	got := make(chan error, 1)
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, &AcceptOptions{KeepAlive: KeepAlive{Timeout: 50 * time.Millisecond}})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _, err = c.RecvMessage(nil)
		got <- err
	}))
	c, err := Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	checkIdle(t, <-got)
}

func TestConnectionsThatAreOverAreForgotten(t *testing.T) {
	url := server(t, echo(t, nil))
	for range 10 {
		c, err := Dial(t.Context(), url, &Config{KeepAlive: KeepAlive{Ping: 200 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if idleConns.Len() == 0 {
		t.Error("nothing was watched")
	}
	for deadline := time.Now().Add(10 * time.Second); idleConns.Len() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(idleConns.Len(), "are left")
		}
	}
}
