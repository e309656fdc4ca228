package embedded

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestAServerKeepsWhatItHadInItsDirectory(t *testing.T) {
	c := Config{Dir: filepath.Join(t.TempDir(), "nats")}
	first, err := Start(inTime(t), c)
	if err != nil {
		t.Fatal(err)
	}
	nc := connect(t, first)
	revision, err := open(t, nc, first.Replicas()).Create(inTime(t), "k", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	closeServer(t, first)
	if _, err := first.Connect(); err == nil {
		t.Error("a server that was closed is connected to")
	}

	again := start(t, c)
	if next := renew(t, open(t, connect(t, again), 1), "k", "2", revision); next <= revision {
		t.Errorf("revision %d after %d", next, revision)
	}
}

func TestADirectoryThatIsNotSharedHasOneServer(t *testing.T) {
	c := Config{Dir: t.TempDir()}
	start(t, c)
	if _, err := Start(inTime(t), c); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
	c.Listen = "127.0.0.1:0"
	if _, err := Start(inTime(t), c); !errors.Is(err, ErrInUse) {
		t.Error("and if one wants to share it:", err)
	}
	if _, err := Connect(c.Dir); !errors.Is(err, ErrNoServer) {
		t.Error("connect:", err)
	}
}

func TestOnlyWhoKnowsTheTokenOrTheSecretIsLetIn(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Secret: "secret"})
	for _, test := range []struct {
		what   string
		option nats.Option
		ok     bool
	}{
		{"token", nats.Token(s.token), true},
		{"secret", nats.Token("secret"), true},
		{"wrong", nats.Token("wrong"), false},
		{"empty", nats.Token(""), false},
		{"user", nats.UserInfo("user", "secret"), false},
	} {
		var nc *nats.Conn
		var err error
		waitUntil(t, test.what+": an answer", func() bool { // the server ends connections that take a while
			nc, err = nats.Connect(s.URL(), test.option)
			return err == nil || errors.Is(err, nats.ErrAuthorization)
		})
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.what, err)
		}
		if err == nil {
			nc.Close()
		}
	}
	letIn(t, func() (*nats.Conn, error) { return Connect(s.config.Dir) })
}

func TestFilesAreForTheOwnerOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no such modes there")
	}
	d := filepath.Join(t.TempDir(), "nats")
	start(t, Config{Dir: d, Listen: "127.0.0.1:0"})
	for name, want := range map[string]os.FileMode{
		".": 0o700, "jetstream": 0o700, tokenName: 0o600, placeName: 0o600, lockName: 0o600, nameName: 0o600,
	} {
		info, err := os.Stat(filepath.Join(d, name))
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

func TestAnAddressThatIsInUseIsTold(t *testing.T) {
	other := start(t, Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	listen := strings.TrimPrefix(other.URL(), "nats://")
	c := Config{Dir: t.TempDir(), Listen: listen}
	if _, err := Start(inTime(t), c); !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), listen) {
		t.Error(err)
	}
	c.Listen = "127.0.0.1:0"
	start(t, c) // the lock was given back
}

func TestALockOfAnotherProgramIsTold(t *testing.T) {
	c := Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"}
	lock, locked, err := dir(c.Dir).lock()
	if err != nil || !locked {
		t.Fatal(locked, err)
	}
	defer lock.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, c); !errors.Is(err, ErrInUse) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestADirectoryThatCannotBeMadeIsTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(inTime(t), Config{Dir: file}); err == nil {
		t.Error("a file is no directory")
	}
}

func TestWhatNATSCannotStartWithIsTold(t *testing.T) {
	c := Config{Dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(c.Dir, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(inTime(t), c); err == nil {
		t.Error("the server started with a file in place of a directory")
	}
	lock, locked, err := dir(c.Dir).lock()
	if err != nil || !locked {
		t.Error("the lock wasn't given back:", err)
	}
	lock.Close()
}

func TestConfigsThatCannotWork(t *testing.T) {
	for _, test := range []struct {
		what   string
		config Config
		want   string
	}{
		{"no directory", Config{}, "directory"},
		{"no port", Config{Dir: "d", Listen: "localhost"}, "port"},
		{"no number", Config{Dir: "d", Listen: "localhost:nats"}, "port"},
		{"peers that don't listen", Config{Dir: "d", Peers: []string{"127.0.0.1:1"}}, "listen"},
		{"no peers", Config{Dir: "d", ClusterListen: "127.0.0.1:1"}, "peers"},
		{"a peer without a port", Config{Dir: "d", ClusterListen: "127.0.0.1:1", Peers: []string{"127.0.0.1"}}, "port"},
		{"a peer at any port", Config{Dir: "d", ClusterListen: "127.0.0.1:1", Peers: []string{"127.0.0.1:0"}}, "find"},
		{"no secret", Config{Dir: "d", ClusterListen: "127.0.0.1:1", Peers: []string{"a.example:1"}}, ErrNoSecret.Error()},
		{"no secret, all interfaces", Config{Dir: "d", ClusterListen: ":1", Peers: []string{"127.0.0.1:1"}}, ErrNoSecret.Error()},
	} {
		_, err := Start(inTime(t), test.config)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.what, err)
		}
	}
}

func TestJetStreamHasLimits(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir(), MaxDisk: 1 << 20})
	js, err := jetstream.New(connect(t, s))
	if err != nil {
		t.Fatal(err)
	}
	for size, ok := range map[int64]bool{1 << 19: true, 1 << 21: false} {
		_, err := js.CreateStream(inTime(t), jetstream.StreamConfig{Name: "s", MaxBytes: size, Subjects: []string{"s"}})
		if (err == nil) != ok {
			t.Errorf("a stream of %d bytes: %v", size, err)
		}
	}
}

func TestTheServerLogsThroughSlog(t *testing.T) {
	var text bytes.Buffer
	log := newServerLog(slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.Noticef("a %d", 1)
	log.Warnf("b %d", 2)
	log.Errorf("c %d", 3)
	log.Fatalf("d %d", 4)
	log.Fatalf("e %d", 5)
	for _, want := range []string{"DEBUG msg=\"nats-server: a 1\"", "WARN msg=\"nats-server: b 2\"",
		"ERROR msg=\"nats-server: c 3\"", "ERROR msg=\"nats-server: e 5\""} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in %s", want, text.String())
		}
	}
	if err := <-log.fatal; err.Error() != "nats-server: d 4" {
		t.Error(err)
	}
}
