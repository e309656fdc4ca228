//go:build linux

package ring

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/race"
)

const (
	// With MSG_DONTWAIT a request fails with EAGAIN instead of waiting. With MSG_WAITALL a short
	// send counts as failed, so that it has a result although whole sends have none.
	recvFlags = unix.MSG_DONTWAIT
	sendFlags = unix.MSG_DONTWAIT | unix.MSG_WAITALL | unix.MSG_NOSIGNAL

	// maxLength is the most that one request asks for. The kernel cuts requests at 2 GiB less a
	// page, and takes a send that it has cut for a whole one.
	maxLength = 1 << 30
)

// A Ring makes batches of receives and sends. One goroutine at a time may use it, on any thread.
type Ring struct {
	fd     int
	rings  []byte // memory of both rings, which the kernel shares
	mapped []byte // memory of sqes, which the kernel shares

	// The submission ring has requests from sqHead, which the kernel moves, to sqTail.
	sqHead, sqTail *uint32
	sqes           []sqe
	tail           uint32  // value of sqTail at the next Submit
	memory         []*byte // the buffers of the batch

	// The completion ring has results from cqHead to cqTail, which the kernel moves.
	cqHead, cqTail *uint32
	cqes           []cqe
	next, end      uint32   // results that Next has not returned yet
	plain          []Result // results of requests that the ring did not take

	enter func(fd, n int) syscall.Errno // tests replace it
}

// A Result is the result of a request.
type Result struct {
	Tag   uint32        // as given to Recv or Send
	N     int           // how many bytes were received or sent; 0 if Errno is set
	Errno syscall.Errno // 0 if bytes were received or sent, or at the end of the stream
}

// Open returns a ring for batches of up to entries requests. The error is that of Supported, or says
// what the system refused. A ring has a descriptor, which is closed when another program is executed,
// and about 100 bytes of kernel memory for each entry, in whole pages.
func Open(entries int) (*Ring, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	return open(entries)
}

func open(entries int) (*Ring, error) {
	fd, p, err := setup(entries)
	if err != nil {
		return nil, err
	}
	r := &Ring{fd: fd, enter: enter}
	if err := r.mmap(p); err != nil {
		r.Close()
		return nil, err
	}
	r.memory = make([]*byte, 0, len(r.sqes))
	r.plain = make([]Result, 0, len(r.sqes))
	return r, nil
}

// mmap maps the memory that the kernel shares.
func (r *Ring) mmap(p *params) (err error) {
	if p.features&featureSingleMmap == 0 || p.features&featureSkipSuccess == 0 {
		return errTooOld
	}
	const access, kind = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	size := max(p.sq.array+p.sqEntries*4, p.cq.cqes+p.cqEntries*uint32(unsafe.Sizeof(cqe{})))
	if r.rings, err = unix.Mmap(r.fd, offsetRings, int(size), access, kind); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	size = p.sqEntries * uint32(unsafe.Sizeof(sqe{}))
	if r.mapped, err = unix.Mmap(r.fd, offsetSQEs, int(size), access, kind); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	at := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }
	r.sqHead, r.sqTail, r.cqHead, r.cqTail = at(p.sq.head), at(p.sq.tail), at(p.cq.head), at(p.cq.tail)
	r.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&r.mapped[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&r.rings[p.cq.cqes])), p.cqEntries)
	for i := range p.sqEntries {
		*at(p.sq.array + 4*i) = i // request i of the ring is always sqes[i]
	}
	return nil
}

// Close releases the ring, also requests that were not submitted. The Ring can't be used any more.
func (r *Ring) Close() {
	if r.fd < 0 {
		return
	}
	for _, m := range [][]byte{r.rings, r.mapped} {
		if m != nil {
			unix.Munmap(m)
		}
	}
	unix.Close(r.fd)
	*r = Ring{fd: -1}
}

// Recv adds a receive to the batch: what a socket has is received into p, which must not be empty. At
// the end of the stream the result has neither bytes nor an error; if nothing has come yet, the error
// is EAGAIN.
//
// The system writes to p during Submit, which drops the Ring's reference to it. p may be part of any
// Go memory: as the Ring keeps it, a local array is allocated on the heap.
func (r *Ring) Recv(fd int, p []byte, tag uint32) {
	race.Write(p)
	r.prepare(opRecv, 0, recvFlags, fd, p, tag)
}

// Send adds a send of p, which must not be empty, to the batch. There is no result if all of p is
// sent. If the system takes a part of p, the result has the length of that part. If it takes nothing,
// the result has the error, which is EAGAIN while the socket's buffer is full. No signal is raised.
//
// Sends to one socket in one batch may leave in any order. The system reads p during Submit, as it
// writes to what was given to Recv.
func (r *Ring) Send(fd int, p []byte, tag uint32) {
	race.Read(p)
	flags := uint8(skipSuccess)
	if len(p) > maxLength {
		flags = 0
	}
	r.prepare(opSend, flags, sendFlags, fd, p, tag)
}

// prepare adds a request with the buffer p to the batch.
func (r *Ring) prepare(opcode, flags uint8, msgFlags uint32, fd int, p []byte, tag uint32) {
	n := len(r.memory)
	if n == cap(r.memory) {
		panic("ring: more requests than entries")
	}
	base := unsafe.SliceData(p)
	r.memory = r.memory[:n+1]
	r.memory[n] = base
	s := &r.sqes[r.tail&uint32(len(r.sqes)-1)]
	s.opcode, s.flags, s.msgFlags = opcode, flags, msgFlags
	s.fd, s.userData = int32(fd), uint64(tag)
	s.addr, s.length = uint64(uintptr(unsafe.Pointer(base))), uint32(min(len(p), maxLength))
	r.tail++
}

// Submit makes all requests of the batch, and drops results of the one before. It doesn't wait.
//
// All requests are made even if there is an error: those that the ring did not take, by a system call
// each. The error says why, so that the caller can do without the ring from then on.
func (r *Ring) Submit() (err error) {
	r.next, r.plain = r.end, r.plain[:0]
	atomic.StoreUint32(r.sqTail, r.tail)
	for left := len(r.memory); left > 0; {
		errno := r.enter(r.fd, left)
		before := left
		left = int(r.tail - atomic.LoadUint32(r.sqHead))
		if left == before {
			r.call(left)
			err = errNotTaken
			if errno != 0 {
				err = os.NewSyscallError("io_uring_enter", errno)
			}
			break
		}
	}
	// The completion ring has room for twice as many results as there are entries, and a request
	// has one at most. So all fit, and stay valid until there are requests again.
	r.end = atomic.LoadUint32(r.cqTail)
	atomic.StoreUint32(r.cqHead, r.end)
	clear(r.memory)
	r.memory = r.memory[:0]
	return err
}

var errNotTaken = errors.New("io_uring_enter took no request")

// call takes the last n requests back from the ring, and makes them by system calls.
func (r *Ring) call(n int) {
	for range n {
		r.tail--
		s := &r.sqes[r.tail&uint32(len(r.sqes)-1)]
		n, errno := s.call()
		if errno != 0 || s.flags&skipSuccess == 0 || n < int(s.length) {
			r.plain = append(r.plain, Result{Tag: uint32(s.userData), N: n, Errno: errno})
		}
	}
	atomic.StoreUint32(r.sqTail, r.tail) // the kernel looks at it in enter only
}

// Next returns a result of the batch that was submitted last, in any order; ok is false after the
// last one.
func (r *Ring) Next() (res Result, ok bool) {
	if r.next != r.end {
		c := &r.cqes[r.next&uint32(len(r.cqes)-1)]
		r.next++
		return c.result(), true
	}
	if last := len(r.plain) - 1; last >= 0 {
		res, r.plain = r.plain[last], r.plain[:last]
		return res, true
	}
	return Result{}, false
}
