package tls

import (
	"crypto/tls"
	"runtime"
	"sync"
	"weak"
)

// derived has the configs that were made fit for a host, as long as connections use them:
// thousands of connections to one host need only one.
var derived = struct {
	sync.Mutex
	configs map[origin]weak.Pointer[tls.Config]
}{configs: map[origin]weak.Pointer[tls.Config]{}}

// An origin is what a config was derived from.
type origin struct {
	config weak.Pointer[tls.Config]
	host   string
}

// configFor returns the caller's config made fit for host. As crypto/tls has it, the
// caller's must not be changed once it has been used.
func configFor(host string, config *tls.Config) *tls.Config {
	from := origin{weak.Make(config), host}
	derived.Lock()
	defer derived.Unlock()
	if shared := derived.configs[from].Value(); shared != nil {
		return shared
	}
	shared := derive(from, config)
	derived.configs[from] = weak.Make(shared)
	runtime.AddCleanup(shared, forget, from)
	return shared
}

// forget drops what nobody uses any more, unless it has been derived again meanwhile.
func forget(from origin) {
	derived.Lock()
	defer derived.Unlock()
	if derived.configs[from].Value() == nil {
		delete(derived.configs, from)
	}
}

func derive(from origin, config *tls.Config) *tls.Config {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	} else {
		config = config.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = serverName(from.host)
	}
	config.NextProtos = []string{"http/1.1"}
	config.Renegotiation = tls.RenegotiateNever
	if resumes(config) {
		config.ClientSessionCache = sessionCache{from}
	}
	return config
}
