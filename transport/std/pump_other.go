//go:build !unix

package std

func (p *pump) drain(uintptr) bool { return true }
