//go:build linux

package server

import (
	"crypto/tls"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func TestServerCountsMessages(t *testing.T) {
	s, err := Listen(1)
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve() // until the process ends
	for _, secure := range []bool{false, true} {
		dial := func() net.Conn {
			var conn net.Conn
			var err error
			if secure {
				conn, err = tls.Dial("tcp", s.Addresses().Secure, &tls.Config{InsecureSkipVerify: true})
			} else {
				conn, err = net.Dial("tcp", s.Addresses().Plain[0])
			}
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(time.Minute))
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		conn, trigger := dial(), NewTrigger(dial())
		if _, _, err := (ws.Dialer{}).Upgrade(conn, &url.URL{Host: "server", Path: "/"}); err != nil {
			t.Fatal(err)
		}
		for want := range int64(3) {
			if n, err := trigger.Count(); n != (Count{want, 5 * want}) || err != nil {
				t.Errorf("secure %v: %+v, %v, want %d messages of 5 bytes", secure, n, err, want)
			}
			if err := wsutil.WriteClientBinary(conn, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, err := wsutil.ReadServerBinary(conn); err != nil {
				t.Fatal(err)
			}
		}
	}
}
