package interop

import (
	"crypto/tls"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// behindFront starts a server that speaks HTTP/1.1 to its clients, too, in front of an echo server.
func behindFront(start front) func(*testing.T, *certificate) opener {
	return behind(func(t *testing.T, dir string, c *certificate, backend string) (ws, wss string) {
		return "ws://" + start(t, dir, c, backend, false), "wss://" + start(t, dir, c, backend, true)
	})
}

// envoy forwards WebSockets over HTTP/1.1.
func envoy(t *testing.T, dir string, c *certificate, backend string, secure bool) string {
	return startEnvoy(t, dir, c, backend, secure, "http_protocol_options: {}")
}

// envoyToHTTP2 forwards to our server over HTTP/2, too.
func envoyToHTTP2(t *testing.T, dir string, c *certificate, _ string, secure bool) string {
	backend := serveHTTP2(t, c, false, http.HandlerFunc(websockEcho))
	return startEnvoy(t, dir, c, backend, secure, "http2_protocol_options: {allow_connect: true}")
}

// startEnvoy starts envoy, which has no key for a server that speaks HTTP/1.1 if its client speaks HTTP/2.
// A setting adds one.
func startEnvoy(t *testing.T, dir string, c *certificate, backend string, secure bool, protocol string) string {
	program := inVenv(t, "envoy")
	security := ""
	if secure {
		security = fill(`
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates: [{certificate_chain: {filename: "{cert}"}, private_key: {filename: "{key}"}}]`,
			"{cert}", c.files["cert"], "{key}", c.files["key"])
	}
	host, backendPort, err := net.SplitHostPort(backend)
	if err != nil {
		t.Fatal(err)
	}
	return address(t, func(port string) *exec.Cmd {
		conf := write(t, dir, "envoy"+port+".yaml", fill(`static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: {port}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          http2_protocol_options: {allow_connect: true}
          upgrade_configs: [{upgrade_type: websocket}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: back}, request_headers_to_add: [{key}]}]}{security}
  clusters:
  - name: back
    load_assignment:
      cluster_name: back
      endpoints:
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: {host}, port_value: {backendPort}}}}}]
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{protocol}}
`, "{port}", port, "{security}", security, "{host}", host, "{backendPort}", backendPort, "{protocol}", protocol,
			"{key}", "{header: {key: sec-websocket-key, value: AAAAAAAAAAAAAAAAAAAAAA==}, append_action: ADD_IF_ABSENT}"), 0o644)
		return exec.Command(program, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "-c", conf)
	})
}

// traefik listens before it has read its configuration. Until then it answers 404.
func traefik(t *testing.T, dir string, c *certificate, backend string, secure bool) string {
	program := inVenv(t, "traefik")
	security := ""
	if secure {
		security = fill(`      tls: {}
tls:
  certificates: [{certFile: "{cert}", keyFile: "{key}"}]
`, "{cert}", c.files["cert"], "{key}", c.files["key"])
	}
	addr := address(t, func(port string) *exec.Cmd {
		conf := write(t, dir, "traefik"+port+".yaml", fill(`http:
  services:
    back: {loadBalancer: {servers: [{url: "http://{backend}"}]}}
  routers:
    all:
      rule: PathPrefix(`+"`/`"+`)
      service: back
{security}`, "{backend}", backend, "{security}", security), 0o644)
		return exec.Command(program, "--entryPoints.front.address=127.0.0.1:"+port, "--providers.file.filename="+conf,
			"--providers.file.watch=false", "--global.checkNewVersion=false", "--global.sendAnonymousUsage=false", "--log.level=ERROR")
	})
	url := "http://" + addr
	if secure {
		url = "https://" + addr
	}
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		response, err := insecure.Get(url)
		if err == nil {
			response.Body.Close()
			if response.StatusCode != http.StatusNotFound {
				return addr
			}
		}
	}
	t.Fatalf("traefik doesn't forward to %s", backend)
	return ""
}

// traefik speaks HTTP/2 without extended CONNECT: a Mux goes on over HTTP/1.1.
func TestMuxWithAFrontWithoutExtendedConnect(t *testing.T) {
	dir := folder(t)
	c := newCertificate(t, dir)
	mux := &websock.Mux{}
	defer mux.Close()
	cfg := stream.config(&tls.Config{RootCAs: c.roots}, "chat")
	cfg.Mux = mux
	url := "wss://" + traefik(t, dir, c, echoBackend(t), true)
	for range 2 { // the second one knows
		conn, err := websock.Dial(t.Context(), url, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := echoed(conn, websock.OpText, payload(10_000)); err != nil {
			t.Error(err)
		}
	}
	if hosts := mux.Stats().Hosts; len(hosts) != 1 || !hosts[0].HTTP1 {
		t.Errorf("%+v", hosts)
	}
}
