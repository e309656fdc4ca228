//go:build linux

package epoll

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestADescriptorIsFreedByWhoUsesItLast(t *testing.T) {
	for users := range 3 {
		var u uses
		for range users {
			if !u.acquire() {
				t.Fatal("an open descriptor can't be used")
			}
		}
		if u.closed() {
			t.Error("closed before close")
		}
		if first, others := u.close(); !first || others != (users > 0) {
			t.Errorf("%d users: close tells %v, %v", users, first, others)
		}
		if first, others := u.close(); first || others {
			t.Errorf("%d users: another close tells %v, %v", users, first, others)
		}
		if !u.closed() || u.acquire() {
			t.Errorf("%d users: a closed descriptor can be used", users)
		}
		for left := users; left >= 0; left-- { // the first is that of close
			if last := u.release(); last != (left == 0) {
				t.Errorf("%d users left, and release tells %v", left, last)
			}
		}
	}
}

func TestADescriptorIsFreedOnce(t *testing.T) {
	for range 100 {
		var u uses
		var freed atomic.Int32
		free := func(last bool) {
			if last {
				freed.Add(1)
			}
		}
		var users sync.WaitGroup
		for range 4 {
			users.Go(func() {
				for u.acquire() {
					free(u.release())
				}
			})
			users.Go(func() {
				if first, _ := u.close(); first {
					free(u.release())
				}
			})
		}
		users.Wait()
		if n := freed.Load(); n != 1 {
			t.Fatalf("freed %d times", n)
		}
	}
}
