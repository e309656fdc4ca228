package report

import (
	"slices"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// A timeline holds samples at equal distances, the first at 0, so that a chart shows time in
// proportion.
type timeline struct {
	samples []measure.Sample
	ticks   int           // intervals between the labels of the axis
	tick    time.Duration // length of each, a round number
}

const (
	maxTicks          = 10
	maxSamplesPerTick = 20
)

// newTimeline interpolates samples, which are in order of time, at equal distances.
func newTimeline(samples []measure.Sample) timeline {
	end := samples[len(samples)-1].At
	t := timeline{tick: max(roundUp(end/maxTicks), measure.SampleInterval)}
	t.ticks = max(int((end+t.tick-1)/t.tick), 1)
	perTick := min(int(t.tick/measure.SampleInterval), maxSamplesPerTick)
	for i := range t.ticks*perTick + 1 {
		t.samples = append(t.samples, interpolate(samples, time.Duration(i)*t.tick/time.Duration(perTick)))
	}
	return t
}

// interpolate returns the counters at a time. Between two samples they change linearly; before
// the first and after the last sample they are constant.
func interpolate(samples []measure.Sample, at time.Duration) measure.Sample {
	i, _ := slices.BinarySearchFunc(samples, at, func(s measure.Sample, at time.Duration) int { return int(s.At - at) })
	switch i {
	case 0:
		return measure.Sample{At: at, Snapshot: samples[0].Snapshot}
	case len(samples):
		return measure.Sample{At: at, Snapshot: samples[i-1].Snapshot}
	}
	from, to := samples[i-1], samples[i]
	part := float64(at-from.At) / float64(to.At-from.At)
	return measure.Sample{At: at, Snapshot: from.Between(to.Snapshot, part)}
}

// values returns one counter of every sample.
func (t timeline) values(counter func(measure.Sample) int64) []float64 {
	values := make([]float64, len(t.samples))
	for i, s := range t.samples {
		values[i] = float64(counter(s))
	}
	return values
}

// messageRates returns the messages received a second before each sample.
func (t timeline) messageRates() []float64 {
	rates := make([]float64, len(t.samples))
	for i := 1; i < len(rates); i++ {
		last, now := t.samples[i-1], t.samples[i]
		rates[i] = rounded(float64(now.Received-last.Received) / (now.At - last.At).Seconds())
	}
	return rates
}
