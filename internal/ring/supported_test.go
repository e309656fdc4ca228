//go:build linux

package ring

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A kernel that does one thing otherwise than a Ring needs is found out.
func TestKernelsThatDoOtherwiseAreNotSupported(t *testing.T) {
	opened(t, 1)
	const shortSend = 4 // tag of try
	tests := []struct {
		name   string
		before func(r *Ring, s *sqe)
		after  func(r *Ring, c *cqe)
		want   string
	}{
		{"results of whole sends", func(r *Ring, s *sqe) { s.flags = 0 }, nil, "a whole send has the results"},
		{"short sends without a count", nil, func(r *Ring, c *cqe) {
			if c.userData == shortSend {
				c.res = -int32(unix.EAGAIN)
			}
		}, "a short send has the results"},
		{"short sends whose results come late", nil, func(r *Ring, c *cqe) {
			if c.userData == shortSend {
				*r.cqTail--
			}
		}, "a send to a socket that is full has the results [{4 "},
		{"receives that wait", nil, func(r *Ring, c *cqe) { *r.cqTail-- }, "a receive of nothing has the results"},
		{"operations that do not exist", func(r *Ring, s *sqe) { s.opcode = 255 }, nil, "a receive of nothing has the results"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := try(func(entries int) (*Ring, error) {
				r, err := open(entries)
				if err != nil {
					return nil, err
				}
				r.enter = func(fd, n int) syscall.Errno {
					if tt.before != nil {
						tt.before(r, &r.sqes[*r.sqHead%uint32(len(r.sqes))])
					}
					tail := *r.cqTail
					errno := enter(fd, n)
					if tt.after != nil && *r.cqTail != tail {
						tt.after(r, &r.cqes[tail%uint32(len(r.cqes))])
					}
					return errno
				}
				return r, nil
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestAShortageIsNotRemembered(t *testing.T) {
	for _, tt := range []struct {
		first, second error
		want          string
	}{
		{nil, unix.EPERM, "<nil>"},
		{unix.EPERM, nil, "io_uring can't be used: operation not permitted"},
		{os.NewSyscallError("io_uring_setup", unix.EMFILE), nil, "<nil>"},
		{os.NewSyscallError("io_uring_setup", unix.ENFILE), nil, "<nil>"},
		{os.NewSyscallError("mmap", unix.ENOMEM), unix.EPERM, "io_uring can't be used: operation not permitted"},
	} {
		var f finding
		f.find(func() error { return tt.first })
		if got := fmt.Sprint(f.find(func() error { return tt.second })); got != tt.want {
			t.Errorf("%v, then %v: %s is found", tt.first, tt.second, got)
		}
	}
}

const forbid = "RING_TEST_FORBID" // environment of a child: a system call and its error

// The child puts itself under a seccomp filter.
func TestOpenSaysWhyTheSystemForbidsRings(t *testing.T) {
	if os.Getenv(forbid) != "" {
		forbidAndOpen(t)
		return
	}
	tests := []struct {
		call  int
		errno syscall.Errno
		want  string
	}{
		{unix.SYS_IO_URING_SETUP, unix.ENOSYS, "io_uring can't be used: the kernel does not have it: io_uring_setup: function not implemented"},
		{unix.SYS_IO_URING_SETUP, unix.EPERM, "io_uring can't be used: it is forbidden, most likely by a seccomp filter: io_uring_setup: operation not permitted"},
		{unix.SYS_IO_URING_SETUP, unix.ENOMEM, "io_uring can't be used: no memory; before Linux 5.12, RLIMIT_MEMLOCK limits it: io_uring_setup: cannot allocate memory"},
		{unix.SYS_IO_URING_SETUP, unix.EMFILE, "io_uring can't be used: io_uring_setup: too many open files"},
		{unix.SYS_IO_URING_ENTER, unix.EPERM, "io_uring can't be used: it is forbidden, most likely by a seccomp filter: io_uring_enter: operation not permitted"},
	}
	for _, tt := range tests {
		child := exec.Command(os.Args[0], "-test.run=^TestOpenSaysWhyTheSystemForbidsRings$", "-test.v")
		child.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", forbid, tt.call, tt.errno))
		out, err := child.CombinedOutput()
		switch _, text, _ := strings.Cut(string(out), "opened: "); {
		case strings.Contains(string(out), "--- SKIP"):
			t.Skipf("%s", out)
		case err != nil:
			t.Fatalf("%v\n%s", err, out)
		case !strings.HasPrefix(text, tt.want+"\n"):
			t.Errorf("system call %d, %v:\n%s", tt.call, tt.errno, out)
		}
	}
}

// forbidAndOpen prints the error of Open in a thread without one system call.
func forbidAndOpen(t *testing.T) {
	runtime.LockOSThread()
	var call, errno uint32
	if _, err := fmt.Sscan(os.Getenv(forbid), &call, &errno); err != nil {
		t.Fatal(err)
	}
	const numberOffset = 0 // in struct seccomp_data
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: numberOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | errno},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
	}
	if err != nil {
		t.Skip("no seccomp filter can be set: ", err)
	}
	r, err := Open(1)
	if err == nil {
		r.Close()
	}
	if again := Supported(); fmt.Sprint(again) != fmt.Sprint(err) {
		t.Errorf("Supported says %v", again)
	}
	fmt.Printf("opened: %v\n", err)
}
