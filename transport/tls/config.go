package tls

import (
	"cmp"
	"crypto/tls"
	"runtime"
	"strings"
	"sync"
	"weak"
)

// clientConfigs holds the configs that connections use, by what they were derived from, so that
// thousands of connections to one host share one config. The pointers are weak: a config lives as
// long as a connection uses it.
var clientConfigs = struct {
	sync.Mutex
	m map[configKey]weak.Pointer[tls.Config]
}{m: map[configKey]weak.Pointer[tls.Config]{}}

// A configKey is what a client's config is derived from.
type configKey struct {
	config    weak.Pointer[tls.Config] // the caller's
	host      string
	protocols string // offered with ALPN, separated by spaces
}

// defaultProtocols is what a client offers with ALPN if the caller names nothing.
const defaultProtocols = "http/1.1"

// configFor returns the config for a client that connects to host and offers protocols. The caller's
// config must not be modified after its first use, as crypto/tls requires too.
func configFor(host string, config *tls.Config, protocols ...string) *tls.Config {
	key := configKey{weak.Make(config), host, cmp.Or(strings.Join(protocols, " "), defaultProtocols)}
	clientConfigs.Lock()
	defer clientConfigs.Unlock()
	if shared := clientConfigs.m[key].Value(); shared != nil {
		return shared
	}
	shared := deriveConfig(key, config)
	clientConfigs.m[key] = weak.Make(shared)
	runtime.AddCleanup(shared, forgetConfig, key)
	return shared
}

// forgetConfig removes the entry of a config that nothing uses any more, unless the config has been
// derived again meanwhile.
func forgetConfig(key configKey) {
	clientConfigs.Lock()
	defer clientConfigs.Unlock()
	if clientConfigs.m[key].Value() == nil {
		delete(clientConfigs.m, key)
	}
}

func deriveConfig(key configKey, config *tls.Config) *tls.Config {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	} else {
		config = config.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = serverName(key.host)
	}
	config.NextProtos = strings.Fields(key.protocols)
	config.Renegotiation = tls.RenegotiateNever
	if mayResume(config) {
		config.ClientSessionCache = sessionCache{key}
	}
	return config
}

// serverName removes from host what a certificate's names don't have: the brackets and the zone of
// an IPv6 address, and the dot at the end of an absolute name.
func serverName(host string) string {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	host, _, _ = strings.Cut(host, "%")
	return strings.TrimSuffix(host, ".")
}
