package process

import "testing"

func TestFitConnectionsLeavesReservedFiles(t *testing.T) {
	const many = 1 << 29 // more than the limit can be raised to
	limit, known := OpenFiles()
	if !known || limit > 1<<20 {
		t.Skip("no limit to speak of")
	}
	if got := FitConnections(many); got != limit-reservedFiles {
		t.Errorf("%d of %d", got, limit)
	}
}
