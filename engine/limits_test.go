package engine

import (
	"math"
	"testing"
)

func TestLimitsHaveDefaultsAndCanBeLifted(t *testing.T) {
	defaults := Limits{DefaultMessageSize, Unlimited, Unlimited, DefaultInflationRatio, 0}
	if got := (Limits{}).WithDefaults(); got != defaults {
		t.Errorf("%+v, want %+v", got, defaults)
	}
	lifted := Limits{Unlimited, Unlimited, Unlimited, math.MaxInt, math.MaxInt}
	if got := (Limits{-1, -1, -1, -1, -1}).WithDefaults(); got != lifted || got.WithDefaults() != lifted {
		t.Errorf("%+v, want %+v", got, lifted)
	}
}
