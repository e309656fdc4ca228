package chart

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestLabelsOfAxesAreRoundAndInPlace(t *testing.T) {
	ms, µs := time.Millisecond, time.Microsecond
	for _, test := range []struct {
		name string
		axis Axis
		want []string
	}{
		{"nothing", Counts("", 0), []string{"0", "1"}},
		{"one", Counts("", 1), []string{"0", "1"}},
		{"a rate below one", Counts("", 0.4), []string{"0", "1"}},
		{"a rate", Rates("", 0.0032), []string{"0", "0.001", "0.002", "0.003", "0.004"}},
		{"a rate above one", Rates("", 3), []string{"0", "1", "2", "3"}},
		{"a large rate", Rates("", 123_456), []string{"0", "50k", "100k", "150k"}},
		{"no rate", Rates("", 0), []string{"0", "1"}},
		{"small", Counts("", 7), []string{"0", "2", "4", "6", "8"}},
		{"round", Counts("", 100), []string{"0", "20", "40", "60", "80", "100"}},
		{"thousands", Counts("", 9_000), []string{"0", "2k", "4k", "6k", "8k", "10k"}},
		{"tens of thousands", Counts("", 21_000), []string{"0", "5k", "10k", "15k", "20k", "25k"}},
		{"millions", Counts("", 2_300_000), []string{"0", "0.5M", "1M", "1.5M", "2M", "2.5M"}},
		{"billions", Counts("", 4e9), []string{"0", "1G", "2G", "3G", "4G"}},
		{"no time", Time("", 0), []string{"0s", "200µs", "400µs", "600µs", "800µs", "1ms"}},
		{"50 ms", Time("", 50*ms), []string{"0s", "10ms", "20ms", "30ms", "40ms", "50ms"}},
		{"5 s", Time("", 5*time.Second), []string{"0s", "1s", "2s", "3s", "4s", "5s"}},
		{"a minute", Time("", time.Minute), []string{"0s", "10s", "20s", "30s", "40s", "50s", "1m"}},
		{"6 minutes", Time("", 6*time.Minute), []string{"0s", "1m", "2m", "3m", "4m", "5m", "6m"}},
		{"10 h", Time("", 10*time.Hour), []string{"0s", "2h", "4h", "6h", "8h", "10h"}},
		{"a month", Time("", 32*24*time.Hour), []string{"0s", "96h", "192h", "288h", "384h", "480h", "576h", "672h", "768h"}},
		{"a decade", Durations("", 90*µs, 1100*µs), []string{"100µs", "200µs", "500µs", "1ms"}},
		{"many decades", Durations("", 9*µs, 3*time.Second), []string{"10µs", "100µs", "1ms", "10ms", "100ms", "1s"}},
		{"from 0", Durations("", 0, 3*µs), []string{"500ns", "1µs", "2µs"}},
		{"one duration", Durations("", ms, ms), []string{"1ms", "2ms"}},
		{"no quantiles", Quantiles("", 0), []string{"50 %", "90 %"}},
		{"quantiles of 10,000", Quantiles("", 10_000), []string{"50 %", "90 %", "99 %", "99.9 %", "99.99 %"}},
		{"of many", Quantiles("", 1<<60), []string{"50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"}},
	} {
		var got []string
		for i, tick := range test.axis.ticks {
			got = append(got, tick.label)
			at := test.axis.position(tick.at)
			if at < 0 || at > 1 || i > 0 && at <= test.axis.position(test.axis.ticks[i-1].at) {
				t.Errorf("%s: %s is at %v", test.name, tick.label, at)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestPositions(t *testing.T) {
	for _, test := range []struct {
		name string
		axis Axis
		of   map[float64]float64
	}{
		{"counts", Counts("", 100), map[float64]float64{0: 0, 25: 0.25, 100: 1, 200: 1, -1: 0}},
		{"time", Time("", 10*time.Second), map[float64]float64{0: 0, 2.5: 0.25, 10: 1}},
		{"durations", Durations("", time.Millisecond, 10*time.Second), map[float64]float64{0.001: 0, 0.01: 0.25, 0.1: 0.5, 10: 1, 0: 0}},
		{"quantiles", Quantiles("", 10_000), map[float64]float64{0: 0, 0.9: 0.25, 0.99: 0.5, 0.9999: 1, 1: 1}},
	} {
		for v, want := range test.of {
			if got := test.axis.position(v); math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: %v is at %v, want %v", test.name, v, got, want)
			}
		}
	}
}

func TestSpreadOfQuantiles(t *testing.T) {
	got := Spread(5, 10_000)
	for i, want := range []float64{0, 0.9, 0.99, 0.999, 0.9999} {
		if math.Abs(got[i]-want) > 1e-9 {
			t.Errorf("%v", got)
		}
	}
	if one := Spread(3, 1); !slices.Equal(one, []float64{0, 0, 0}) {
		t.Errorf("of one value: %v", one)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1234 * time.Nanosecond: "1.23µs", 999_960 * time.Nanosecond: "1ms", 12_345 * time.Microsecond: "12.3ms",
		1500 * time.Millisecond: "1.5s", 59 * time.Second: "59s", 90 * time.Second: "1m30s", time.Minute: "1m", 2 * time.Hour: "2h",
		3*time.Hour + 20*time.Minute: "3h20m", 70*time.Minute + 500*time.Millisecond: "1h10m1s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
