package websock

import (
	"math"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

func TestConnectionsShareTheirLimits(t *testing.T) {
	limits := func(l Limits) *Limits { return NewConn(&scriptTransport{}, Client, Options{Limits: l}).limits() }
	first := limits(Limits{MessageSize: 1000})
	if limits(Limits{MessageSize: 1000}) != first || limits(Limits{MessageSize: 1000, PongRate: DefaultPongRate}) != first {
		t.Error("the same limits are held twice")
	}
	other := limits(Limits{MessageSize: 2000})
	if other == first || other.MessageSize != 2000 || first.MessageSize != 1000 {
		t.Errorf("%+v and %+v", first, other)
	}
	again := limits(Limits{MessageSize: 1000})
	if *again != *first {
		t.Errorf("%+v and %+v", first, again)
	}
}

func TestLimitsHaveDefaultsAndCanBeLifted(t *testing.T) {
	if got, want := (Limits{}).WithDefaults(), (Limits{
		MessageSize: DefaultMessageSize, FrameSize: engine.Unlimited, InflatedSize: engine.Unlimited, InflationRatio: DefaultInflationRatio, PongRate: DefaultPongRate,
		SendQueue: DefaultSendQueue, HandshakeSize: DefaultHandshakeSize, CloseTimeout: DefaultCloseTimeout,
	}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	lifted := Limits{-1, -1, -1, -1, -1, -1, -1, QueueWaits, -1, -1}.WithDefaults()
	if want := (Limits{engine.Unlimited, engine.Unlimited, engine.Unlimited, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, QueueWaits, math.MaxInt, -1}); lifted != want {
		t.Errorf("%+v, want %+v", lifted, want)
	}
	if again := lifted.WithDefaults(); again != lifted {
		t.Errorf("%+v, again %+v", lifted, again)
	}
}
