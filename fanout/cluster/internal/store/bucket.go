package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says which bucket to open. Bucket is required.
type Config struct {
	// Bucket is the name of the bucket: letters, digits, '-' and '_'. It is created if it doesn't exist.
	Bucket string

	// Replicas is how many servers have a copy of the bucket. Default: 1.
	Replicas int

	// MarkerTTL is for how long the marker of a deleted key stays, in whole seconds. A watch that lags
	// behind by more may miss a deletion. Default: 10 minutes.
	MarkerTTL time.Duration

	// AnySettings accepts a bucket that exists, whatever its settings are. Without it they have to be
	// such that records and revisions keep what a Store promises. Delete needs them.
	AnySettings bool

	// Logger is told, at level Debug, why watches end. nil: nothing is logged.
	Logger *slog.Logger
}

// DefaultMarkerTTL is the default of Config.MarkerTTL.
const DefaultMarkerTTL = 10 * time.Minute

// Errors of Open that don't go away when it is called again.
var (
	// ErrNoJetStream: the server, or the user's account there, has no JetStream.
	ErrNoJetStream = errors.New("store: NATS has JetStream disabled for this user")

	// ErrOldServer: the server can't remove the markers of deleted keys, which is new in version 2.11.
	ErrOldServer = errors.New("store: the NATS server is too old; 2.11 or later is needed")

	// ErrNoReplicas: the servers are no cluster, or have fewer members than there should be replicas.
	ErrNoReplicas = errors.New("store: not enough NATS servers for the replicas of the bucket")
)

// A SettingsError says that the bucket exists and isn't as it should be. Remove it, if it isn't needed
// by anybody, or choose another name.
type SettingsError struct {
	Bucket, Setting string
	Have, Want      string
}

// Error names the bucket and the setting.
func (e *SettingsError) Error() string {
	return fmt.Sprintf("store: bucket %q exists, but its %s is %s in place of %s", e.Bucket, e.Setting, e.Have, e.Want)
}

// A Bucket is a Store in a key-value bucket of NATS JetStream. Keys have one or more letters, digits
// and characters of "-_/=." each, and no dot at their beginning or end, or beside another one.
type Bucket struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	config Config
	kv     jetstream.KeyValue
	stream jetstream.Stream

	mu        sync.Mutex
	goneSince time.Time // when it was found that there is no bucket any more; zero: there is one
}

func (b *Bucket) streamName() string { return b.stream.CachedInfo().Config.Name }

// retryOpen is how long Open waits before it tries again.
const retryOpen = 100 * time.Millisecond

// Open opens a bucket, and creates it if it doesn't exist. Many members may do so at once. While NATS
// is away, or its servers have no leader yet, Open tries again, until ctx ends. It returns at once
// what trying again doesn't mend. The Bucket needs no closing: it is of no more use when nc is closed.
func Open(ctx context.Context, nc *nats.Conn, c Config) (*Bucket, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	c.Replicas = max(c.Replicas, 1)
	if c.MarkerTTL <= 0 {
		c.MarkerTTL = DefaultMarkerTTL
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	for {
		b, err := openOnce(ctx, js, c)
		if err == nil {
			b.nc, b.js, b.config = nc, js, c
			return b, nil
		}
		if nc.IsClosed() || !MayPass(err) {
			return nil, openError(c.Bucket, err)
		}
		select {
		case <-time.After(retryOpen):
		case <-ctx.Done():
			return nil, openError(c.Bucket, errors.Join(context.Cause(ctx), err))
		}
	}
}

// openTimeout bounds one attempt.
const openTimeout = 2 * time.Second

func openOnce(ctx context.Context, js jetstream.JetStream, c Config) (b *Bucket, err error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	b = &Bucket{}
	b.kv, err = js.KeyValue(ctx, c.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		b.kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket:         c.Bucket,
			History:        1,
			Storage:        jetstream.FileStorage,
			Replicas:       c.Replicas,
			LimitMarkerTTL: c.MarkerTTL,
		})
		if errors.Is(err, jetstream.ErrBucketExists) { // somebody was faster
			b.kv, err = js.KeyValue(ctx, c.Bucket)
		}
	}
	if err != nil {
		return nil, accountError(ctx, js, err)
	}
	status, err := b.kv.Status(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkSettings(status.Config(), c); !c.AnySettings && err != nil {
		return nil, err
	}
	b.stream, err = js.Stream(ctx, "KV_"+c.Bucket)
	return b, err
}

// accountError returns what is the matter with the account, if that is why a request got no answer.
func accountError(ctx context.Context, js jetstream.JetStream, err error) error {
	if errors.Is(err, nats.ErrNoResponders) {
		if _, accountErr := js.AccountInfo(ctx); accountErr != nil {
			return accountErr
		}
	}
	return err
}

// checkSettings returns a SettingsError for what would break the promises of a Store.
func checkSettings(have jetstream.KeyValueConfig, want Config) error {
	wrong := func(setting string, is, should any) error {
		return &SettingsError{want.Bucket, setting, fmt.Sprint(is), fmt.Sprint(should)}
	}
	switch {
	case have.TTL != 0:
		return wrong("TTL", have.TTL, "none")
	case have.LimitMarkerTTL == 0:
		return wrong("LimitMarkerTTL", "none", want.MarkerTTL)
	case have.Replicas < want.Replicas:
		return wrong("number of replicas", have.Replicas, want.Replicas)
	case have.Storage != jetstream.FileStorage:
		return wrong("storage", have.Storage, jetstream.FileStorage)
	}
	return nil
}
