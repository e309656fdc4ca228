//go:build linux

package loopback

import (
	"errors"
	"os"
	"slices"
	"testing"
)

// inDir is where make others puts programs.
const inDir = "../others/bin"

// TestOthersDoEveryKindOfWork runs each program that is built, and demands all of them of CI.
func TestOthersDoEveryKindOfWork(t *testing.T) {
	clients := append(slices.Clip(exchanges),
		Case{Kind: Idle, Conns: 200, Secure: true},
		Case{Kind: Dial, Conns: 50})
	servers := []Case{
		{Server: true, Kind: Echo, Conns: 3, Window: 1},
		{Server: true, Kind: Broadcast, Conns: 3},
		{Server: true, Kind: Idle, Conns: 200},
	}
	for _, o := range others {
		t.Run(o.name, func(t *testing.T) { runOther(t, o, clients) })
		if o.server {
			t.Run(o.name+"-server", func(t *testing.T) { runOther(t, o, servers) })
		}
	}
}

func runOther(t *testing.T, o other, cases []Case) {
	lab, err := openLab()
	if err != nil {
		t.Fatal(err)
	}
	contestant, err := o.in(inDir, cases[0].Server)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	for _, c := range cases {
		t.Run(c.String(), func(t *testing.T) {
			r, err := lab.Run(contestant, c, short)
			switch {
			case errors.Is(err, ErrLeftOut) && c.compresses():
				t.Skip(err)
			case err != nil:
				t.Error(err)
			case c.Kind != Idle && (r.Messages <= 0 || r.CPU <= 0):
				t.Errorf("%+v", r)
			}
		})
	}
}
