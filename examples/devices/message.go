package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// The headers of an opening handshake that say which device it is, and prove it.
const (
	deviceHeader = "Device-Id"
	tokenHeader  = "Authorization"
)

// A message is what devices and the platform send.
//
//	device:   {"type":"hello","text":"lost"}, first; the text is the device's last will
//	device:   {"type":"telemetry","number":17,"value":21.5}; a gap in the numbers is a time without connection
//	platform: {"type":"command","number":3,"text":"reboot"}
//	device:   {"type":"result","number":3,"text":"ok"}
//	device:   {"type":"goodbye"}, last: the will is void
type message struct {
	Type   string  `json:"type"`
	Number uint64  `json:"number,omitempty"`
	Value  float64 `json:"value,omitempty"`
	Text   string  `json:"text,omitempty"`
}

// tokenOf returns what a device sends in tokenHeader. Real devices have one each, from the factory or a
// provisioning service, and not the secret.
func tokenOf(secret []byte, device string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(device))
	return "Bearer " + hex.EncodeToString(mac.Sum(nil))
}
