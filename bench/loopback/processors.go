//go:build linux

package loopback

import "golang.org/x/sys/unix"

// processors returns one for the client and another for the server, where there are
// two.
func processors() (client, server int, err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return 0, 0, err
	}
	client, server = -1, -1
	for cpu := range len(all) * 64 {
		if !all.IsSet(cpu) {
			continue
		}
		if client < 0 {
			client = cpu
		}
		server = cpu
	}
	return client, server, nil
}
