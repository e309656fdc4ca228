package interop

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A certificate is for 127.0.0.1 and example.com. Only these tests trust it.
type certificate struct {
	files map[string]string // "cert", "key", and "both" in one file
	roots *x509.CertPool
	tls   tls.Certificate
}

func newCertificate(t *testing.T, dir string) *certificate {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	c := &certificate{files: map[string]string{}, roots: x509.NewCertPool(), tls: s.TLS.Certificates[0]}
	c.roots.AddCert(s.Certificate())
	key, err := x509.MarshalPKCS8PrivateKey(c.tls.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.tls.Certificate[0]})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	for name, text := range map[string][]byte{"cert": certPEM, "key": keyPEM, "both": append(certPEM, keyPEM...)} {
		c.files[name] = filepath.Join(dir, name+".pem")
		if err := os.WriteFile(c.files[name], text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// folder returns a directory that servers can read and write that drop root privileges.
func folder(t *testing.T) string {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fill returns a text with the names in braces replaced.
func fill(text string, values ...string) string {
	return strings.NewReplacer(values...).Replace(text)
}

// write writes a file and returns its path.
func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// debian returns the path of a program from a Debian package.
func debian(t *testing.T, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err != nil {
		missing(t, program, "run `apt-get install "+pkg+"`")
	}
	return path
}

// address starts a server as process does, and returns its host and port.
func address(t *testing.T, command func(port string) *exec.Cmd) string {
	t.Helper()
	return strings.TrimSuffix(strings.TrimPrefix(process(t, command), "ws://"), "/")
}

// backends are echo servers, without and with TLS.
func backends(t *testing.T, c *certificate) (ws, wss string) {
	plain := httptest.NewServer(http.HandlerFunc(gorillaEcho))
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(gorillaEcho))
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{c.tls}}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	return "ws" + strings.TrimPrefix(plain.URL, "http"), "wss" + strings.TrimPrefix(secure.URL, "https")
}
