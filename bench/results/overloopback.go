//go:build linux

package main

import (
	"os"
	"slices"

	"github.com/seed004e8d11/websock/bench/client"
	"github.com/seed004e8d11/websock/bench/loopback"
)

// measureOverLoopback prints each table when it is complete.
func measureOverLoopback(e extent) (tables []*loopback.Table, err error) {
	lab, err := loopback.Open(true)
	if err != nil {
		return nil, err
	}
	defer lab.Close()
	contestants := slices.DeleteFunc(client.Contestants(), func(c client.Contestant) bool { return c.Variant })
	for _, c := range loopback.Cases {
		if !e.cases(c) {
			continue
		}
		t := loopback.NewTable(c, contestants)
		for range e.turns {
			t.AddRound(lab, e.timing)
		}
		t.Print(os.Stdout)
		tables = append(tables, t)
	}
	return tables, nil
}
