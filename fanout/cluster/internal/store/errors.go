package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Codes of the server's answers that package jetstream has no names for.
const (
	codeNoSuitablePeers       jetstream.ErrorCode = 10005
	codeTemporarilyAway       jetstream.ErrorCode = 10008
	codeNotLeader             jetstream.ErrorCode = 10009
	codeInsufficientResources jetstream.ErrorCode = 10023
	codeNotClustered          jetstream.ErrorCode = 10074
	codeStreamOffline         jetstream.ErrorCode = 10118
)

func codeOf(err error) jetstream.ErrorCode {
	var of jetstream.JetStreamError
	if errors.As(err, &of) && of.APIError() != nil {
		return of.APIError().ErrorCode
	}
	return 0
}

// MayPass reports whether an error of making or opening a bucket, or a stream, may be gone in a while.
func MayPass(err error) bool {
	switch codeOf(err) {
	case codeNoSuitablePeers, codeTemporarilyAway, codeNotLeader, codeInsufficientResources, codeStreamOffline:
		return true
	}
	for _, passing := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected,
		nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, nats.ErrStaleConnection,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// openError says what an error of opening a bucket means.
func openError(bucket string, err error) error {
	var meaning error
	switch code := codeOf(err); {
	case code == jetstream.JSErrCodeJetStreamNotEnabled, code == jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		meaning = ErrNoJetStream
	case errors.Is(err, jetstream.ErrLimitMarkerTTLNotSupported):
		meaning = ErrOldServer
	case code == codeNoSuitablePeers, code == codeNotClustered:
		meaning = ErrNoReplicas
	}
	var settings *SettingsError
	switch {
	case errors.As(err, &settings):
		return settings
	case meaning != nil:
		return fmt.Errorf("%w (bucket %q: %w)", meaning, bucket, err)
	}
	return fmt.Errorf("store: bucket %q: %w", bucket, err)
}

// writeError tells conflicts from everything else that a write may end with.
func writeError(op, key string, err error) error {
	switch code := codeOf(err); {
	case err == nil:
		return nil
	case code == jetstream.JSErrCodeStreamWrongLastSequence,
		errors.Is(err, jetstream.ErrKeyExists),
		errors.Is(err, jetstream.ErrKeyRevisionMismatch):
		return ErrConflict
	}
	return fmt.Errorf("store: %s %q: %w", op, key, err)
}
