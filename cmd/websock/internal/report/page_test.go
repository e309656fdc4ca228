package report

import "testing"

func TestPageOfAnEmptyReport(t *testing.T) {
	r := &Report{latencies: NewHistogram(), samples: []Sample{{}}}
	if svgs, err := r.charts(); err != nil || len(svgs) != 4 {
		t.Errorf("%d, %v", len(svgs), err)
	}
}
