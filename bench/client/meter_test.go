//go:build linux

package client

import (
	"errors"
	"testing"
)

func TestMeterMeasuresWholeStepsAfterWarmUp(t *testing.T) {
	const step, warm = 10, 15
	m := NewMeter(step, warm, 0, 0)
	m.Begin()
	for range 29 {
		m.Add(1)
	}
	select {
	case <-m.Done():
		t.Fatal("ended before its last step")
	default:
	}
	m.Add(1)
	<-m.Done()
	cost, err := m.Cost()
	if err != nil {
		t.Fatal(err)
	}
	if cost.Messages != step || cost.CPU <= 0 || cost.Time <= 0 {
		t.Errorf("%+v", cost)
	}
}

func TestMeterKeepsFirstError(t *testing.T) {
	first := errors.New("first")
	m := NewMeter(1, 0, 0, 0)
	m.Fail(first)
	m.Fail(errors.New("second"))
	m.Add(1)
	<-m.Done()
	if _, err := m.Cost(); err != first {
		t.Error(err)
	}
}
