// Package ring makes many receives and sends on sockets by one system call, through io_uring. It is
// for Linux; elsewhere it is empty.
//
// A caller prepares a batch of receives or sends, submits it, and reads the results:
//
//	for i, fd := range readable {
//		r.Recv(fd, buffers[i], uint32(i))
//	}
//	r.Submit()
//	for res, ok := r.Next(); ok; res, ok = r.Next() {
//		// res.Tag is i, res.N is what read(2) would have returned.
//	}
//
// No request waits, so all are done when Submit returns: the system uses neither a buffer nor a
// descriptor afterwards. Only the order of system calls changes for the caller, who learns from epoll
// which sockets are ready, and may close a descriptor at any time between two batches.
package ring
