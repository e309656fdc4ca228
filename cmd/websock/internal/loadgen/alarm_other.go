//go:build !linux

package loadgen

func newSystemAlarm() alarm { return newTimerAlarm() }
