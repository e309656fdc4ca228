//go:build linux

package ring

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What follows is the interface of the kernel, as linux/io_uring.h has it. All fields have the same
// place on all architectures.

const (
	opSend = 26 // IORING_OP_SEND
	opRecv = 27 // IORING_OP_RECV

	skipSuccess = 1 << 6 // IOSQE_CQE_SKIP_SUCCESS, Linux 5.17

	featureSingleMmap  = 1 << 0  // IORING_FEAT_SINGLE_MMAP, Linux 5.4
	featureSkipSuccess = 1 << 11 // IORING_FEAT_CQE_SKIP, Linux 5.17

	offsetRings = 0          // IORING_OFF_SQ_RING
	offsetSQEs  = 0x10000000 // IORING_OFF_SQES
)

// params is struct io_uring_params.
type params struct {
	sqEntries    uint32
	cqEntries    uint32
	flags        uint32
	sqThreadCPU  uint32
	sqThreadIdle uint32
	features     uint32
	wqFd         uint32
	reserved     [3]uint32
	sq           sqOffsets
	cq           cqOffsets
}

// sqOffsets is struct io_sqring_offsets.
type sqOffsets struct {
	head, tail, mask, entries, flags, dropped, array, reserved uint32

	userAddr uint64
}

// cqOffsets is struct io_cqring_offsets.
type cqOffsets struct {
	head, tail, mask, entries, overflow, cqes, flags, reserved uint32

	userAddr uint64
}

// An sqe is struct io_uring_sqe: a request.
type sqe struct {
	opcode   uint8
	flags    uint8
	ioprio   uint16
	fd       int32
	offset   uint64
	addr     uint64
	length   uint32
	msgFlags uint32
	userData uint64
	reserved [3]uint64
}

// A cqe is struct io_uring_cqe: a result.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// result returns what a cqe says.
func (c *cqe) result() Result {
	if c.res < 0 {
		return Result{Tag: uint32(c.userData), Errno: syscall.Errno(-c.res)}
	}
	return Result{Tag: uint32(c.userData), N: int(c.res)}
}

// setup makes a ring. Its descriptor is closed when another program is executed.
//
// It sets no flags. IORING_SETUP_COOP_TASKRUN, SUBMIT_ALL and NO_SQARRAY make a batch less than 1 %
// faster, as does a ring that belongs to one thread, which a goroutine doesn't.
func setup(entries int) (fd int, p *params, err error) {
	p = new(params)
	r, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	if errno != 0 {
		return -1, nil, os.NewSyscallError("io_uring_setup", errno)
	}
	return int(r), p, nil
}

// enter submits n requests.
//
// It doesn't tell Go's scheduler. A batch takes longer than a single call, so the scheduler's monitor
// would often take the processor away from the goroutine in the meantime, and getting one back costs
// more than the batch saves. A stop of the world has to wait for the batch instead.
func enter(fd, n int) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(fd), uintptr(n), 0, 0, 0, 0)
	return errno
}

// call makes the request by a system call of its own.
func (s *sqe) call() (n int, errno syscall.Errno) {
	trap := uintptr(unix.SYS_RECVFROM)
	if s.opcode == opSend {
		trap = unix.SYS_SENDTO
	}
	for {
		n, _, errno := syscall.RawSyscall6(trap, uintptr(s.fd), uintptr(s.addr), uintptr(s.length), uintptr(s.msgFlags), 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
