package storetest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

func TestMemoryIsAStore(t *testing.T) {
	Run(t, func(t *testing.T) (a, b store.Store) {
		m := &Memory{}
		return m, m
	})
}

func TestMemoryIsAwayBetweenDisconnectAndReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Memory{}
		create(t, t.Context(), m, "k", "1")
		updates := watch(t, t.Context(), m)
		m.Disconnect()
		Ends(t, updates)
		if _, err := m.Watch(t.Context()); !errors.Is(err, ErrAway) {
			t.Errorf("watch: %v", err)
		}
		if _, err := m.Create(t.Context(), "l", nil); !errors.Is(err, ErrAway) {
			t.Errorf("create: %v", err)
		}
		m.Reconnect()
		if got := Records(t, watch(t, t.Context(), m)); string(got["k"].Value) != "1" || len(got) != 1 {
			t.Errorf("got %v", got)
		}
	})
}

func TestMemoryLosesAnswersIfToldTo(t *testing.T) {
	lost := errors.New("the answer is lost")
	m := &Memory{Intercept: func(_ context.Context, _, _ string, write func() (uint64, error)) (uint64, error) {
		if _, err := write(); err != nil {
			return 0, err
		}
		return 0, lost
	}}
	if _, err := m.Create(t.Context(), "k", nil); !errors.Is(err, lost) {
		t.Errorf("create: %v", err)
	}
	if _, err := m.Create(t.Context(), "k", nil); !errors.Is(err, store.ErrConflict) {
		t.Errorf("create again: %v", err)
	}
}
