package cluster

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

func TestOptionsThatMakeNoSense(t *testing.T) {
	for option, change := range map[string]func(*Options){
		"Name":             func(o *Options) { o.Name = "a.b" },
		"Member":           func(o *Options) { o.Member = "a b" },
		"Prefix":           func(o *Options) { o.Prefix = "a..b" },
		"Keys":             func(o *Options) { o.Keys = nil },
		"Partitions":       func(o *Options) { o.Partitions = -1 },
		"Lease":            func(o *Options) { o.Lease = time.Millisecond },
		"Margin":           func(o *Options) { o.Margin = time.Hour },
		"Weight":           func(o *Options) { o.Weight = -1 },
		"Rate":             func(o *Options) { o.Rate = -1 },
		"Overlap":          func(o *Options) { o.Overlap = -1 },
		"Away":             func(o *Options) { o.Away = 2 },
		"Fanout.Size":      func(o *Options) { o.Fanout.Size = 1 },
		"Fanout.Key":       func(o *Options) { o.Fanout.Key = func(int) string { return "" } },
		"Fanout.Pace.Rate": func(o *Options) { o.Fanout.Pace.Rate = 1 },
		"Fanout.OnData": func(o *Options) {
			o.Publish.To = ToCore
			o.Fanout.OnData = func(*fanout.Slot, websock.Header, []byte) {}
		},
		"Publish.To":           func(o *Options) { o.Publish.To = 3 },
		"Publish.Buffer":       func(o *Options) { o.Publish.Buffer = -1 },
		"Publish.InFlight":     func(o *Options) { o.Publish.InFlight = -1 },
		"Publish.AckWait":      func(o *Options) { o.Publish.AckWait = -1 },
		"Publish.FlushTimeout": func(o *Options) { o.Publish.FlushTimeout = -1 },
		"Conn":                 func(o *Options) { o.Conn, o.URL = &nats.Conn{}, "nats://nats.example" },
		"Peers":                func(o *Options) { o.Peers, o.URL = []string{"127.0.0.1:1"}, "nats://nats.example" },
		"FenceHeader":          func(o *Options) { o.FenceHeader = "a b" },
	} {
		o := Options{Keys: Static("k")}
		change(&o)
		_, err := Start(t.Context(), o)
		if wrong, ok := errors.AsType[*OptionError](err); !ok || wrong.Option != option {
			t.Errorf("%s: Start returned %v", option, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	o := Options{Keys: Static("k"), Name: "n", Dir: "d", Lease: 8 * time.Second}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	if o.Prefix != "n" || o.Partitions != DefaultPartitions || o.Margin != 2*time.Second || o.Weight != 1 ||
		o.Rate != fanout.DefaultRate || o.Member == "" || o.Listen != "127.0.0.1:0" {
		t.Errorf("defaults are %+v", o)
	}
}

func TestWhereNATSIsSaysNoSecrets(t *testing.T) {
	for url, want := range map[string]string{
		"":                              "dir",
		"nats://h:4222":                 "nats://h:4222",
		"nats://user:p@ss@h,tls://t@h2": "h,h2",
	} {
		o := Options{URL: url, Dir: "dir"}
		if got := o.where(); got != want {
			t.Errorf("%q: it says %q, want %q", url, got, want)
		}
	}
}
