package cluster

import (
	"errors"
	"testing"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

func TestOnlyRenewalsOfTheMembersOwnRecordAreCounted(t *testing.T) {
	below := &refusingStore{}
	r := &renewalCounter{Store: below, key: "member.a"}
	for _, key := range []string{"member.a", "member.b", "part.1"} {
		for _, below.err = range []error{nil, store.ErrConflict} {
			if revision, err := r.Update(t.Context(), key, nil, 1); revision != 7 || !errors.Is(err, below.err) {
				t.Errorf("%s: %d, %v", key, revision, err)
			}
		}
	}
	if s := r.snapshot(); s.Done != 1 || s.Failed != 1 || s.Took.Count != 1 {
		t.Errorf("%+v", s)
	}
}
