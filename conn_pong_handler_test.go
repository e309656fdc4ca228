package websock

import (
	"slices"
	"testing"
)

// pongRecorder is a recorder that writes pongs down too.
type pongRecorder struct{ recorder }

func (r *pongRecorder) OnPong(c *Conn, payload []byte) {
	r.events = append(r.events, "pong "+string(payload))
}

func TestAPongHandlerIsToldOfPongsInTheirPlace(t *testing.T) {
	c, s := newScripted(Client, Limits{}, everyByte(frames(Client, "text a; pong 1; text+ b; pong ; cont c; ping x"))...)
	r := &pongRecorder{}
	if err := c.SetHandler(r); err != nil {
		t.Fatal(err)
	}
	s.play()
	if want := []string{"text a", "pong 1", "text+ b", "pong ", "continuation c"}; !slices.Equal(r.events, want) {
		t.Errorf("%q, want %q", r.events, want)
	}
}
