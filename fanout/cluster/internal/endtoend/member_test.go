package endtoend

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/feed"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// A memberConfig is what the process of a member is told.
type memberConfig struct {
	Name    string
	Feed    string // address
	Keys    int
	Lease   time.Duration
	Rate    float64
	Overlap time.Duration

	URL string // of NATS; "": Dir
	Dir string

	Publish cluster.PublishTo
}

// memberEnv is the variable of the environment that makes the test's program a member.
const memberEnv = "CLUSTER_TEST_MEMBER"

func TestMain(m *testing.M) {
	if text := os.Getenv(memberEnv); text != "" {
		if err := runMember(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// runMember is a member until the process is told to end.
func runMember(text string) error {
	var config memberConfig
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := cluster.Start(ctx, config.options())
	if err != nil {
		return err
	}
	fmt.Println("started")
	<-ctx.Done()
	leaving, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return c.Shutdown(leaving)
}

func (m *memberConfig) options() cluster.Options {
	keys := make([]string, m.Keys)
	for i := range keys {
		keys[i] = keyOf(i)
	}
	return cluster.Options{
		Member:      m.Name,
		Keys:        cluster.Static(keys...),
		URL:         m.URL,
		Dir:         m.Dir,
		Lease:       m.Lease,
		Rate:        m.Rate,
		Overlap:     m.Overlap,
		FenceHeader: feed.TokenHeader,
		Publish:     cluster.Publish{To: m.Publish},
		Logger:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})),
		Fanout: fanout.Options{
			Choose: func(s *fanout.Slot) fanout.Target {
				return fanout.Target{
					URL: "ws://" + m.Feed + "/" + s.Key(),
					Config: websock.Config{
						Transport: epoll.Transport(),
						Header:    http.Header{feed.MemberHeader: {m.Name}},
					},
				}
			},
			OnMessage: func(s *fanout.Slot, op websock.Opcode, msg []byte) {
				if string(msg) == askForEcho {
					s.Send(op, msg) // the feed sees whether the member still uses the key
				}
			},
			Backoff: fanout.Backoff{Base: 100 * time.Millisecond, Max: time.Second},
		},
	}
}

func keyOf(i int) string { return fmt.Sprintf("key-%d", i) }

// askForEcho is a message that members send back.
const askForEcho = "echo"
