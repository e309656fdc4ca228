package store

import (
	"testing"

	"github.com/nats-io/nats.go"
)

func TestWhatIsSaidOfARequestForMessages(t *testing.T) {
	for _, test := range []struct {
		status, left string
		heard, ends  bool
		pulled       int // of 100 that were asked for
	}{
		{status: "100", heard: true, pulled: 100},
		{status: "503", heard: false, pulled: 0},
		{status: "408", left: "30", heard: true, pulled: 70},
		{status: "408", left: "300", heard: true, pulled: 0},
		{status: "408", left: "", heard: true, ends: true, pulled: 100},
		{status: "409", heard: true, ends: true, pulled: 100},
	} {
		m := nats.NewMsg("inbox")
		m.Header.Set("Status", test.status)
		m.Header.Set("Nats-Pending-Messages", test.left)
		if !isStatus(m) {
			t.Errorf("%s is no status", test.status)
		}
		c := &consumer{pulled: 100}
		heard, err := c.status(m)
		if heard != test.heard || (err != nil) != test.ends || c.pulled != test.pulled {
			t.Errorf("%s with %q left: heard %v, error %v, %d asked for", test.status, test.left, heard, err, c.pulled)
		}
	}
	if isStatus(&nats.Msg{Data: []byte("x")}) {
		t.Error("a message is a status")
	}
}
