package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// firefoxPage opens a page in Firefox with a profile that trusts the authority of c.
func firefoxPage(t *testing.T, c *certificate, page string, urls []string) {
	program := debian(t, "firefox-esr", "firefox-esr")
	certutil := debian(t, "certutil", "libnss3-tools")
	profile, err := os.MkdirTemp("", "firefox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(profile) }) // processes that still run may keep files
	write(t, profile, "user.js", firefoxPreferences, 0o644)
	for _, args := range [][]string{
		{"-N", "--empty-password"},
		{"-A", "-n", "interop", "-t", "C,,", "-i", c.files["authority"]},
	} {
		if output, err := exec.Command(certutil, append(args, "-d", "sql:"+profile)...).CombinedOutput(); err != nil {
			t.Fatalf("certutil %v: %v, %s", args, err, output)
		}
	}
	cmd := exec.Command(program, "--headless", "--no-remote", "--profile", profile, page+strings.Join(urls, ","))
	cmd.Env = append(os.Environ(), "HOME="+profile)
	run(t, cmd)
}

// firefoxPreferences keep Firefox from asking other servers.
const firefoxPreferences = `user_pref("network.proxy.type", 0);
user_pref("app.update.auto", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
`

// signed returns a certificate for 127.0.0.1 that an authority has signed, whose own certificate is the
// file "authority".
func signed(t *testing.T, dir string) *certificate {
	t.Helper()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "interop"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	authorityKey, leafKey := newKey(t), newKey(t)
	authorityDER := sign(t, authority, authority, authorityKey, authorityKey)
	leafDER := sign(t, leaf, authority, leafKey, authorityKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	c := &certificate{files: map[string]string{}, roots: x509.NewCertPool(), tls: tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}}
	trusted, err := x509.ParseCertificate(authorityDER)
	if err != nil {
		t.Fatal(err)
	}
	c.roots.AddCert(trusted)
	for name, block := range map[string]*pem.Block{
		"authority": {Type: "CERTIFICATE", Bytes: authorityDER},
		"cert":      {Type: "CERTIFICATE", Bytes: leafDER},
		"key":       {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		c.files[name] = filepath.Join(dir, name+".pem")
		if err := os.WriteFile(c.files[name], pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, c, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
