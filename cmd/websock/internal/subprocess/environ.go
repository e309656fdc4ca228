package subprocess

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// passedHeaders are the headers of the request that the command gets, as HTTP_ and the name. No other is
// passed: a client chooses their names, and programs take HTTP_PROXY for their own setting. Authorization
// isn't either (RFC 3875 section 4.1.18).
var passedHeaders = []string{
	"Accept-Language", "Cookie", "Origin", "Referer", "Sec-Websocket-Protocol", "User-Agent",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id",
}

// environ returns the environment of a command: ours, and the variables of CGI (RFC 3875 section 4.1) for the
// request. Those in ours, which may be of a request to ourselves, are not passed on.
func environ(ours []string, r *http.Request, subprotocol string) []string {
	request := requestVariables(r, subprotocol)
	env := slices.DeleteFunc(slices.Clone(ours), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		_, replaced := request[name]
		return replaced
	})
	for name, value := range request {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// requestVariables returns the variables for a request, also those without a value.
func requestVariables(r *http.Request, subprotocol string) map[string]string {
	remote, remotePort := splitAddr(r.RemoteAddr)
	v := map[string]string{
		"GATEWAY_INTERFACE":  "CGI/1.1",
		"SERVER_SOFTWARE":    "websock",
		"SERVER_PROTOCOL":    r.Proto,
		"REQUEST_METHOD":     r.Method,
		"REQUEST_URI":        r.RequestURI,
		"PATH_INFO":          r.URL.Path,
		"QUERY_STRING":       r.URL.RawQuery,
		"REMOTE_ADDR":        remote,
		"REMOTE_PORT":        remotePort,
		"SERVER_NAME":        "",
		"SERVER_PORT":        "",
		"HTTP_HOST":          r.Host,
		"HTTPS":              "",
		"WEBSOCKET_PROTOCOL": subprotocol,
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		v["SERVER_NAME"], v["SERVER_PORT"] = splitAddr(local.String())
	}
	if r.TLS != nil {
		v["HTTPS"] = "on"
	}
	for _, name := range passedHeaders {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		v["HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = strings.Join(r.Header.Values(name), separator)
	}
	for name, value := range v {
		v[name] = strings.ReplaceAll(value, "\x00", "") // no variable can have it; a path can, as %00
	}
	return v
}

func splitAddr(addr string) (host, port string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, ""
	}
	return host, port
}
