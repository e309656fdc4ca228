//go:build linux

package client

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/seed004e8d11/websock/bench/rawcall"
)

// A Contestant is a client library in one configuration.
type Contestant struct {
	Name    string
	Ours    bool // a failure is a bug of this repository
	Variant bool // compared only on request
	Shares  bool // WebSockets share connections as Work.Shared says

	// Compresses has what it can compress with.
	Compresses []Compression

	New func(*Work) (Client, error)
}

// Can reports whether the contestant can compress as demanded.
func (c Contestant) Can(compression Compression) bool {
	return compression == None || compression == "" || slices.Contains(c.Compresses, compression)
}

var both = []Compression{Takeover, Fresh}

// Contestants returns all contestants, raw first.
func Contestants() []Contestant {
	all := []Contestant{{Name: "raw", Ours: true, New: bound}}
	all = append(all, rawVariants()...)
	all = append(all, Contestant{Name: "raw-net", Ours: true, Variant: true, New: newRawNet})
	for _, name := range slices.Sorted(maps.Keys(transports)) {
		all = append(all, Contestant{Name: "websock-" + name, Ours: true, Compresses: both, New: func(w *Work) (Client, error) {
			return newPushed(w, transports[name]), nil
		}})
		pulled := pulledBy("websock-"+name+"-pulled", dialPulled(transports[name]))
		pulled.Ours, pulled.Variant, pulled.Compresses = true, true, both
		all = append(all, pulled)
	}
	for _, name := range slices.Sorted(maps.Keys(transports)) {
		all = append(all, Contestant{Name: "websock-" + name + "-h2", Ours: true, Shares: true, New: func(w *Work) (Client, error) {
			return newShared(w, transports[name]), nil
		}})
	}
	all = append(all, Contestant{Name: "xnet-h2", Shares: true, New: newXnetShared})
	gorilla := pulledBy("gorilla", dialGorilla)
	gorilla.Compresses = []Compression{Fresh}
	return append(all,
		gorilla,
		Contestant{Name: "coder", Compresses: both, New: newCoder},
		Contestant{Name: "gws", Compresses: both, New: newGws},
		pulledBy("gobwas", dialGobwas),
		Contestant{Name: "nbio", New: newNbio},
		pulledBy("xnet", dialXnet),
	)
}

// Find returns the contestant of that name.
func Find(name string) (Contestant, error) {
	all := Contestants()
	i := slices.IndexFunc(all, func(c Contestant) bool { return c.Name == name })
	if i < 0 {
		return Contestant{}, fmt.Errorf("no contestant is called %q", name)
	}
	return all[i], nil
}

// bound returns the fastest variant of raw that is known.
func bound(w *Work) (Client, error) {
	if w.secure() {
		return newRawSecure(w), nil
	}
	return newRaw(w, rawcall.Yield, rawcall.Raw)
}

func rawVariants() (all []Contestant) {
	for _, wait := range slices.Sorted(maps.Keys(rawcall.Waits)) {
		for _, io := range slices.Sorted(maps.Keys(rawcall.IOs)) {
			all = append(all, Contestant{
				Name:    fmt.Sprintf("raw-%s-%s", wait, io),
				Ours:    true,
				Variant: true,
				New: func(w *Work) (Client, error) {
					return newRaw(w, rawcall.Waits[wait](), rawcall.IOs[io])
				},
			})
		}
	}
	return all
}

func pulledBy(name string, dial func(context.Context, *Work) (link, error)) Contestant {
	return Contestant{Name: name, New: func(w *Work) (Client, error) {
		return &pulled{Work: w, dial: dial}, nil
	}}
}
