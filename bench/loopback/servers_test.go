//go:build linux

package loopback

import "testing"

func TestServersDoEveryKindOfWork(t *testing.T) {
	lab, err := openLab()
	if err != nil {
		t.Fatal(err)
	}
	for _, shared := range []int{0, 3} {
		for _, c := range []Case{
			{Server: true, Kind: Echo, Conns: 6, Window: 1, Shared: shared},
			{Server: true, Kind: Broadcast, Conns: 6, Shared: shared},
			{Server: true, Kind: Idle, Conns: 1000, Shared: shared},
		} {
			for _, server := range c.Contestants() {
				t.Run(c.String()+"/"+server.Name, func(t *testing.T) {
					r, err := lab.Run(server, c, short)
					if err != nil {
						t.Fatal(err)
					}
					if c.Kind != Idle && (r.Messages <= 0 || r.CPU <= 0) || c.Kind == Idle && r.BytesPerConn == 0 {
						t.Errorf("%+v", r)
					}
				})
			}
		}
	}
}

func TestMoreConnectionsThanOpenFilesAreAnError(t *testing.T) {
	lab, err := openLab()
	if err != nil {
		t.Fatal(err)
	}
	c := Case{Kind: Echo, Conns: 1 << 30, Window: 1}
	if r, err := lab.Run(Contestant{Name: "raw"}, c, short); err == nil {
		t.Errorf("%+v", r)
	}
}
