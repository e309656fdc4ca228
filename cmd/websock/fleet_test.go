package main

import (
	"testing"
	"time"

	"github.com/seed004e8d11/websock/fanout"
)

func TestWhatComesUpAfterTheExchangeSendsNothing(t *testing.T) {
	url, _ := serving(t)
	f := newFleet([]fanout.Target{{URL: url}}, newMessage(false, 16), 1, 2)
	f.exchanging.Store(true)
	f.stopping.Store(true)
	if err := f.dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	account, err := f.finish(time.Second)
	if err != nil || account.Connections != 2 || account.Final.Sent != 0 {
		t.Errorf("%+v, %v", account, err)
	}
}
