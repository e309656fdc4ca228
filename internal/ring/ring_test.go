//go:build linux

package ring

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/race"
)

// requests are made on the first of two sockets. Each result is that of read(2) or write(2).
var requests = []struct {
	name     string
	networks []string
	prepare  func(t *testing.T, a, b *descriptor)
	add      func(r *Ring, fd int, p []byte, tag uint32)
	size     int
	want     *Result // nil: none
}{
	{"receive before anything was sent", all, nothing, (*Ring).Recv, 100, &Result{Errno: unix.EAGAIN}},
	{"receive less than is there", all, sent("hello"), (*Ring).Recv, 3, &Result{N: 3}},
	{"receive all that is there", all, sent("hello"), (*Ring).Recv, 100, &Result{N: 5}},
	{"receive after the end", all, ended, (*Ring).Recv, 100, &Result{}},
	{"receive after a reset", tcp, wasReset, (*Ring).Recv, 100, &Result{Errno: unix.ECONNRESET}},
	{"receive from what is closed", all, closed, (*Ring).Recv, 100, &Result{Errno: unix.EBADF}},
	{"receive from what is no socket", all, noSocket, (*Ring).Recv, 100, &Result{Errno: unix.ENOTSOCK}},
	{"receive from a socket that blocks", all, blocking, (*Ring).Recv, 100, &Result{Errno: unix.EAGAIN}},
	{"send all", all, nothing, (*Ring).Send, 100, nil},
	{"send to a peer that has ended", tcp, ended, (*Ring).Send, 100, nil},
	{"send after the own end", all, shut, (*Ring).Send, 100, &Result{Errno: unix.EPIPE}},
	{"send to a peer that is gone", unixOnly, ended, (*Ring).Send, 100, &Result{Errno: unix.EPIPE}},
	{"send after a reset", tcp, wasReset, (*Ring).Send, 100, &Result{Errno: unix.ECONNRESET}},
	{"send to what is full", all, full, (*Ring).Send, 100, &Result{Errno: unix.EAGAIN}},
	{"send to a full socket that blocks", all, fullAndBlocking, (*Ring).Send, 100, &Result{Errno: unix.EAGAIN}},
	{"send to what is closed", all, closed, (*Ring).Send, 100, &Result{Errno: unix.EBADF}},
	{"send to what is no socket", all, noSocket, (*Ring).Send, 100, &Result{Errno: unix.ENOTSOCK}},
}

var all, tcp, unixOnly = []string{"tcp", "unix"}, []string{"tcp"}, []string{"unix"}

func nothing(*testing.T, *descriptor, *descriptor) {}
func ended(t *testing.T, a, b *descriptor)         { b.close(); a.await(t, unix.POLLIN) }
func closed(_ *testing.T, a, _ *descriptor)        { a.close() }
func wasReset(t *testing.T, a, b *descriptor)      { b.reset(t); a.await(t, unix.POLLERR) }
func shut(_ *testing.T, a, _ *descriptor)          { unix.Shutdown(a.fd, unix.SHUT_WR) }

func sent(s string) func(*testing.T, *descriptor, *descriptor) {
	return func(t *testing.T, a, b *descriptor) { b.write(t, []byte(s)); a.await(t, unix.POLLIN) }
}

func full(t *testing.T, a, b *descriptor) {
	a.shrink(t, b)
	for p := make([]byte, 64<<10); ; {
		if _, err := unix.Write(a.fd, p); err != nil {
			return
		}
	}
}

func blocking(t *testing.T, a, _ *descriptor) {
	if err := unix.SetNonblock(a.fd, false); err != nil {
		t.Fatal(err)
	}
}

func fullAndBlocking(t *testing.T, a, b *descriptor) {
	full(t, a, b)
	blocking(t, a, b)
}

func noSocket(t *testing.T, a, _ *descriptor) {
	a.close()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	a.fd = fd
}

// All requests of a network are one batch, so failures would touch their neighbours.
func TestEachRequestOfABatchHasItsOwnResult(t *testing.T) {
	for _, network := range all {
		for _, how := range []string{"by the ring", "by system calls", "half by the ring"} {
			t.Run(network+" "+how, func(t *testing.T) {
				r := opened(t, len(requests))
				switch how {
				case "by system calls":
					r.taking(unix.EAGAIN)
				case "half by the ring":
					r.taking(unix.EBUSY, len(requests)/2)
				}
				want := map[uint32]Result{}
				for i, q := range requests {
					if !slices.Contains(q.networks, network) {
						continue
					}
					a, b := sockets(t, network)
					q.prepare(t, a, b)
					q.add(r, a.fd, make([]byte, q.size), uint32(i))
					if q.want != nil {
						want[uint32(i)] = Result{Tag: uint32(i), N: q.want.N, Errno: q.want.Errno}
					}
				}
				r.Submit()
				got := r.results(t)
				for i, q := range requests {
					if got[uint32(i)] != want[uint32(i)] {
						t.Errorf("%s: got %+v, want %+v", q.name, got[uint32(i)], want[uint32(i)])
					}
				}
				if len(got) != len(want) {
					t.Errorf("%d results instead of %d", len(got), len(want))
				}
			})
		}
	}
}

func TestAShortSendSaysHowMuchWasTaken(t *testing.T) {
	for _, network := range all {
		for _, plain := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, plain %v", network, plain), func(t *testing.T) {
				const n = 8
				r := opened(t, n)
				if plain {
					r.taking(unix.ENOMEM)
				}
				data := make([]byte, 8<<20)
				for i := range data {
					data[i] = byte(i * 7 / 5)
				}
				var peers [n]*descriptor
				for i := range peers {
					a, b := sockets(t, network)
					peers[i] = b
					if i%2 == 0 {
						a.shrink(t, b)
						r.Send(a.fd, data, uint32(i))
					} else {
						r.Send(a.fd, data[:100], uint32(i))
					}
				}
				r.Submit()
				results := r.results(t)
				for i, b := range peers {
					res, told := results[uint32(i)]
					if i%2 != 0 {
						if told {
							t.Errorf("a whole send has the result %+v", res)
						}
						res.N = 100
					} else if res.N <= 0 || res.N >= len(data) || res.Errno != 0 {
						t.Fatalf("the result is %+v", res)
					}
					if !bytes.Equal(b.readAll(t, res.N), data[:res.N]) {
						t.Error("what was sent is not what was received")
					}
					if n, err := unix.Read(b.fd, make([]byte, 1)); err != unix.EAGAIN {
						t.Errorf("more was sent than the result says: %d, %v", n, err)
					}
				}
			})
		}
	}
}

// An error of io_uring_enter and a partial submission lose no request, and leave the ring usable.
func TestRequestsThatTheRingDoesNotTakeAreMadeAnyway(t *testing.T) {
	tests := []struct {
		name   string
		errno  syscall.Errno
		counts []int
		failed bool
	}{
		{"all", 0, []int{16}, false},
		{"in parts", 0, []int{1, 5, 3, 16}, false},
		{"none", unix.EAGAIN, nil, true},
		{"none, without an error", 0, nil, true},
		{"some, then no memory", unix.ENOMEM, []int{1, 4}, true},
		{"some, then interrupted", unix.EINTR, []int{15}, true},
		{"some, then forbidden", unix.EPERM, []int{7}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := opened(t, 16)
			var here, peers [16]*descriptor
			for i := range peers {
				here[i], peers[i] = sockets(t, "unix")
			}
			for round := range 5 {
				r.taking(tt.errno, tt.counts...)
				for i, a := range here {
					r.Send(a.fd, []byte{byte(round), byte(i)}, uint32(i))
				}
				err := r.Submit()
				if (err != nil) != tt.failed || tt.errno != 0 && tt.failed && err.(interface{ Unwrap() error }).Unwrap() != tt.errno {
					t.Fatalf("the error is %v", err)
				}
				if got := r.results(t); len(got) > 0 {
					t.Errorf("whole sends have the results %v", got)
				}

				r.taking(tt.errno, tt.counts...)
				buffers := make([][2]byte, 16)
				for i, b := range peers {
					r.Recv(b.fd, buffers[i][:], uint32(i))
				}
				r.Submit()
				got := r.results(t)
				for i := range peers {
					if got[uint32(i)] != (Result{Tag: uint32(i), N: 2}) || buffers[i] != [2]byte{byte(round), byte(i)} {
						t.Errorf("round %d: result %+v, bytes %v", round, got[uint32(i)], buffers[i])
					}
				}
			}
		})
	}
}

// Each batch is submitted by another thread, as a goroutine may move. The results of every other
// batch are not read.
func TestManyBatchesOnManyThreads(t *testing.T) {
	const n = 32
	r := opened(t, n)
	var here, peers [n]*descriptor
	for i := range here {
		here[i], peers[i] = sockets(t, all[i%2])
	}
	turn := make(chan int)
	done := make(chan bool)
	for range 4 {
		go func() {
			runtime.LockOSThread() // to the end of the goroutine, which is the thread's
			for round := range turn {
				done <- exchange(t, r, round, here[:], peers[:])
			}
		}()
	}
	for round := range 2000 {
		turn <- round
		if !<-done {
			break
		}
	}
	close(turn)
}

// exchange sends on some sockets, and receives on all peers.
func exchange(t *testing.T, r *Ring, round int, here, peers []*descriptor) bool {
	order := rand.Perm(len(here))
	sent := order[:rand.IntN(len(order)+1)]
	for _, i := range sent {
		r.Send(here[i].fd, fmt.Appendf(nil, "%d to %d", round, i), uint32(i))
	}
	if err := r.Submit(); err != nil {
		t.Errorf("round %d: %v", round, err)
		return false
	}
	if res, ok := r.Next(); ok {
		t.Errorf("round %d: a send has the result %+v", round, res)
		return false
	}
	for _, i := range sent {
		if !peers[i].await(t, unix.POLLIN) {
			return false
		}
	}
	for range 1 + round%2 { // the second time nothing is there
		buffers := make([][]byte, len(peers))
		for i, b := range peers {
			buffers[i] = make([]byte, 100)
			r.Recv(b.fd, buffers[i], uint32(i))
		}
		if err := r.Submit(); err != nil {
			t.Errorf("round %d: %v", round, err)
			return false
		}
		if round%2 != 0 {
			continue
		}
		for i, res := range r.results(t) {
			want := Result{Tag: i, Errno: unix.EAGAIN}
			text := ""
			if slices.Contains(sent, int(i)) {
				text = fmt.Sprintf("%d to %d", round, i)
				want = Result{Tag: i, N: len(text)}
			}
			if res != want || string(buffers[i][:res.N]) != text {
				t.Errorf("round %d: result %+v instead of %+v, %q", round, res, want, buffers[i][:res.N])
				return false
			}
		}
	}
	return true
}

// The kernel keeps results for which there is no room in a list, and says so in the ring.
func TestResultsThatAreNotReadLeaveRoomForTheNextBatch(t *testing.T) {
	r := opened(t, 8)
	a, _ := sockets(t, "unix")
	for batch := range 100 {
		for i := range len(r.sqes) {
			r.Recv(a.fd, make([]byte, 1), uint32(batch*8+i))
		}
		if err := r.Submit(); err != nil {
			t.Fatal(err)
		}
		if batch%7 == 0 {
			if got := r.results(t); len(got) != 8 || got[uint32(batch*8)].Errno != unix.EAGAIN {
				t.Fatalf("batch %d has the results %v", batch, got)
			}
		}
	}
	if flags := *(*uint32)(unsafe.Add(unsafe.Pointer(&r.rings[0]), sqFlagsOf(t, 8))); flags != 0 {
		t.Errorf("the flags of the submission ring are %x", flags)
	}
}

// sqFlagsOf returns where rings have the flags of the submission ring.
func sqFlagsOf(t *testing.T, entries int) uint32 {
	fd, p, err := setup(entries)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	return p.sq.flags
}

func TestABufferOnTheStackStaysWhereItIs(t *testing.T) {
	r := opened(t, 1)
	a, b := sockets(t, "unix")
	b.write(t, []byte("hello"))
	done := make(chan string)
	go func() { // whose stack is small
		var local [5]byte
		r.Recv(a.fd, local[:], 0)
		useStack(1000)
		r.Submit()
		done <- string(local[:])
	}()
	if got := <-done; got != "hello" {
		t.Errorf("received %q", got)
	}
}

// useStack makes the stack of the goroutine move.
func useStack(depth int) int {
	var space [100]int
	if depth > 0 {
		space[depth%100] = useStack(depth - 1)
	}
	return space[depth%100] + 1
}

func TestABufferIsReachableUntilItIsSubmitted(t *testing.T) {
	r := opened(t, 1)
	a, b := sockets(t, "unix")
	b.write(t, []byte("hello"))
	freed := make(chan bool, 1)
	func() {
		p := new([1 << 10]byte)
		runtime.AddCleanup(p, func(c chan bool) { c <- true }, freed)
		r.Recv(a.fd, p[:], 0)
	}()
	for range 3 {
		runtime.GC()
	}
	select {
	case <-freed:
		t.Fatal("the buffer was freed before Submit")
	default:
	}
	r.Submit()
	for range 3 {
		runtime.GC()
	}
	<-freed
	runtime.KeepAlive(r)
}

func TestASendThatIsTooLongForTheKernelHasAResult(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) < 8 {
		t.Skip("no room for so much memory")
	}
	p, err := unix.Mmap(-1, 0, maxLength+1, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Munmap(p)
	r := opened(t, 2)
	for i, n := range []int{maxLength, maxLength + 1} {
		r.Send(-1, p[:n], 0)
		if s := r.sqes[i]; s.length != maxLength || (s.flags&skipSuccess != 0) != (n == maxLength) {
			t.Errorf("%d bytes: length %d, flags %x", n, s.length, s.flags)
		}
	}
}

func TestMoreRequestsThanEntriesPanic(t *testing.T) {
	r := opened(t, 2)
	for range 2 {
		r.Recv(-1, make([]byte, 1), 0)
	}
	defer func() {
		if recover() == nil {
			t.Error("the third request is taken")
		}
	}()
	r.Recv(-1, make([]byte, 1), 0)
}

func TestCloseReleasesTheDescriptorOnce(t *testing.T) {
	r := opened(t, 1)
	fd := r.fd
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("programs that are executed get the descriptor: %v, %v", flags, err)
	}
	r.Close()
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("after Close: %v", err)
	}
	r.Close()
}

func TestOpenRefusesSizesThatTheKernelDoes(t *testing.T) {
	opened(t, 1)
	for _, entries := range []int{0, 1 << 20} {
		if r, err := Open(entries); err == nil {
			r.Close()
			t.Errorf("a ring of %d entries is opened", entries)
		}
	}
}

func TestBatchesAllocateNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	r := opened(t, 4)
	a, b := sockets(t, "unix")
	p, q := make([]byte, 100), make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() {
		r.Send(a.fd, p, 0)
		r.Submit()
		r.Recv(b.fd, q, 0)
		r.Recv(b.fd, q, 0)
		r.Submit()
		for _, ok := r.Next(); ok; _, ok = r.Next() {
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
