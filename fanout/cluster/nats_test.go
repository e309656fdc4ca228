package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/embedded"
)

func TestStartWaitsForAServerThatIsSlow(t *testing.T) {
	s, x := newFeed(t), startProxy(t, startNATS(t).addr())
	o := testOptions(s, "k")
	o.URL, o.NATS = x.addr(), []nats.Option{nats.Timeout(200 * time.Millisecond)}
	x.mute.Store(true)
	go func() {
		for ; x.carried() < 2; time.Sleep(time.Millisecond) { // so the first attempt has failed
		}
		x.mute.Store(false)
	}()
	wait(t, startMember(t, o))
}

func TestWhichServersAreAskedAgainToLetIn(t *testing.T) {
	slow := fmt.Errorf("reading: %w", os.ErrDeadlineExceeded)
	for _, test := range []struct {
		name  string
		err   error
		here  bool // the server is one of this machine
		again bool
	}{
		{"too slow", slow, false, true},
		{"too slow for the server", errors.New("nats: authentication timeout"), false, true},
		{"not there", nats.ErrNoServers, false, false},
		{"refuses", nats.ErrAuthorization, false, false},
		{"not there, but another one will be", nats.ErrNoServers, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			attempts := 0
			n := &natsAccess{dial: func(...nats.Option) (*nats.Conn, error) {
				if attempts++; attempts == 1 {
					return nil, test.err
				}
				return &nats.Conn{}, nil
			}}
			if test.here {
				n.server = &embedded.Server{}
			}
			_, err := n.connect(inTime(t), &Options{}, "test")
			if again := attempts == 2; again != test.again || again != (err == nil) || !again && !errors.Is(err, test.err) {
				t.Errorf("after %d attempts: %v", attempts, err)
			}
		})
	}
}

func TestAskingToBeLetInEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := &natsAccess{dial: func(...nats.Option) (*nats.Conn, error) {
		cancel()
		return nil, os.ErrDeadlineExceeded
	}}
	if _, err := n.connect(ctx, &Options{}, "test"); !errors.Is(err, context.Canceled) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
