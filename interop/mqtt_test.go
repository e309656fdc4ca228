package interop

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/seed004e8d11/websock"
)

// MQTT 3.1.1 has the subprotocol "mqtt", and 3.1 had "mqttv3.1". Each packet is that of a client which
// wants a clean session.
var mqttConnects = map[string]string{
	"mqtt":     "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
	"mqttv3.1": "\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01a",
}

const mqttAccepted = "\x20\x02\x00\x00"

func TestMosquittoChoosesTheSubprotocol(t *testing.T) {
	url, _ := startMosquitto(t)
	for offered, agreed := range map[string]string{
		"mqtt": "mqtt", "mqttv3.1": "mqttv3.1", "mqtt,mqttv3.1": "mqtt", "mqttv3.1,mqtt": "mqttv3.1", "mqtt-v5,mqtt": "mqtt",
	} {
		t.Run(offered, func(t *testing.T) {
			conn, err := websock.Dial(t.Context(), url, &websock.Config{Subprotocols: strings.Split(offered, ",")})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if conn.Subprotocol() != agreed {
				t.Errorf("agreed to %q", conn.Subprotocol())
			}
			connectMQTT(t, conn)
		})
	}
	t.Run("none", func(t *testing.T) { // such a WebSocket is opened, and Mosquitto never answers
		conn, err := websock.Dial(t.Context(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if conn.Subprotocol() != "" {
			t.Errorf("agreed to %q", conn.Subprotocol())
		}
	})
	t.Run("another", func(t *testing.T) { // Mosquitto ends the connection without a response
		_, err := websock.Dial(t.Context(), url, &websock.Config{Subprotocols: []string{"soap"}})
		var failed *websock.HandshakeError
		if !errors.As(err, &failed) || failed.Status != 0 {
			t.Error(err)
		}
	})
}

// connectMQTT opens a session of MQTT.
func connectMQTT(t *testing.T, conn *websock.Conn) {
	t.Helper()
	stream := conn.NetConn(websock.OpBinary)
	stream.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(stream, mqttConnects[conn.Subprotocol()]); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len(mqttAccepted))
	if _, err := io.ReadFull(stream, answer); err != nil || string(answer) != mqttAccepted {
		t.Errorf("the broker answers %q, %v", answer, err)
	}
}

// TestAServerThatWantsASubprotocol is such a server as EMQX can be: it carries bytes to a broker for
// clients that offer a subprotocol of MQTT, and refuses others.
func TestAServerThatWantsASubprotocol(t *testing.T) {
	_, broker := startMosquitto(t)
	server := httptest.NewServer(bridgeTo(broker, &websock.AcceptOptions{
		Subprotocols: []string{"mqtt", "mqttv3.1"},
		CheckRequest: offersMQTT,
	}))
	t.Cleanup(server.Close)
	host := server.Listener.Addr().String()
	t.Run("refuses others", func(t *testing.T) {
		for _, offered := range [][]string{nil, {"soap"}} {
			_, err := websock.Dial(t.Context(), "ws://"+host+"/mqtt", &websock.Config{Subprotocols: offered})
			var refused *websock.HandshakeError
			if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
				t.Errorf("%q: %v", offered, err)
			}
		}
	})
	for offered, agreed := range map[string]string{"mqtt": "mqtt", "mqttv3.1": "mqttv3.1", "mqtt-v5,mqttv3.1,mqtt": "mqtt"} {
		t.Run(offered, func(t *testing.T) {
			conn, err := websock.Dial(t.Context(), "ws://"+host+"/mqtt", &websock.Config{Subprotocols: strings.Split(offered, ",")})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if conn.Subprotocol() != agreed {
				t.Errorf("agreed to %q", conn.Subprotocol())
			}
			connectMQTT(t, conn)
		})
	}
	_, port, _ := net.SplitHostPort(host)
	for _, version := range []string{"3.1", "3.1.1", "5"} {
		t.Run("paho-mqtt "+version, func(t *testing.T) {
			output, err := exec.CommandContext(t.Context(), inVenv(t, "python3"), "clients/mqtt.py", port, version).CombinedOutput()
			if err != nil || !strings.Contains(string(output), "all arrived") {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
}

func offersMQTT(r *http.Request) error {
	if slices.ContainsFunc(websocket.Subprotocols(r), func(name string) bool { return mqttConnects[name] != "" }) {
		return nil
	}
	return &websock.HandshakeError{Status: http.StatusBadRequest, Reason: "no subprotocol of MQTT is offered"}
}
