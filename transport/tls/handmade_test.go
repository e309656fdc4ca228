package tls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"strings"
	"testing"
)

// Content types and handshake messages of RFC 8446 and RFC 5246.
const (
	typeAlert       = 21
	typeHandshake   = 22
	typeApplication = 23

	helloRequest     = 0
	newSessionTicket = 4
	keyUpdate        = 24
)

// A handmade is a peer that sends what no tls.Conn would. It takes over from one with the
// keys that this has logged.
type handmade struct {
	*end
	in, out *layer
}

// send sends payload in a record of its own.
func (h *handmade) send(kind byte, payload ...byte) { h.end.out.write(h.out.seal(kind, payload)) }

// receive returns the next record.
func (h *handmade) receive(t *testing.T) (kind byte, payload []byte) {
	t.Helper()
	record := make([]byte, 5)
	if _, err := io.ReadFull(h.end, record); err != nil {
		t.Fatal(err)
	}
	record = append(record, make([]byte, binary.BigEndian.Uint16(record[3:]))...)
	if _, err := io.ReadFull(h.end, record[5:]); err != nil {
		t.Fatal(err)
	}
	kind, payload, err := h.in.open(record)
	if err != nil {
		t.Fatal(err)
	}
	return kind, payload
}

// A layer protects or opens the records of one direction with AES-GCM.
type layer struct {
	version uint16
	secret  []byte // TLS 1.3
	hash    func() hash.Hash
	keySize int

	aead  cipher.AEAD
	nonce []byte // to which the number of the record is added; TLS 1.2: its first 4 bytes
	seq   uint64
}

func (l *layer) setKey(key, nonce []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	l.aead, err = cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	l.nonce, l.seq = nonce, 0
}

// seal returns a record.
func (l *layer) seal(kind byte, payload []byte) []byte {
	nonce, number := l.next()
	if l.version == tls.VersionTLS13 {
		record := []byte{typeApplication, 3, 3, 0, 0}
		binary.BigEndian.PutUint16(record[3:], uint16(len(payload)+1+16))
		return l.aead.Seal(record, nonce, append(bytes.Clone(payload), kind), record)
	}
	record := []byte{kind, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(record[3:], uint16(8+len(payload)+16))
	return l.aead.Seal(append(record, number...), nonce, payload, l.additional(number, kind, len(payload)))
}

// open returns what a record carries.
func (l *layer) open(record []byte) (kind byte, payload []byte, err error) {
	nonce, number := l.next()
	if l.version == tls.VersionTLS13 {
		payload, err = l.aead.Open(nil, nonce, record[5:], record[:5])
		if err != nil {
			return 0, nil, err
		}
		payload = bytes.TrimRight(payload, "\x00")
		return payload[len(payload)-1], payload[:len(payload)-1], nil
	}
	copy(nonce[4:], record[5:13])
	payload, err = l.aead.Open(nil, nonce, record[13:], l.additional(number, record[0], len(record)-13-16))
	return record[0], payload, err
}

// next returns the nonce of the next record, and its number.
func (l *layer) next() (nonce, number []byte) {
	number = binary.BigEndian.AppendUint64(nil, l.seq)
	l.seq++
	nonce = append(bytes.Clone(l.nonce), make([]byte, 12-len(l.nonce))...)
	for i, b := range number {
		nonce[4+i] ^= b
	}
	return nonce, number
}

func (l *layer) additional(number []byte, kind byte, size int) []byte {
	return append(bytes.Clone(number), kind, 3, 3, byte(size>>8), byte(size))
}

// update changes the keys, as a KeyUpdate demands (RFC 8446 section 7.2).
func (l *layer) update() { l.setSecret(l.expand(l.secret, "traffic upd", l.hash().Size())) }

func (l *layer) setSecret(secret []byte) {
	l.secret = secret
	l.setKey(l.expand(secret, "key", l.keySize), l.expand(secret, "iv", 12))
}

// expand is HKDF-Expand-Label with no context (RFC 8446 section 7.1).
func (l *layer) expand(secret []byte, label string, size int) []byte {
	label = "tls13 " + label
	info := append([]byte{0, byte(size), byte(len(label))}, label...)
	key, err := hkdf.Expand(l.hash, secret, string(append(info, 0)), size)
	if err != nil {
		panic(err)
	}
	return key
}

// A KeyLog is what a tls.Conn logs, by label.
type KeyLog map[string][]byte

func (k KeyLog) Write(line []byte) (int, error) {
	fields := strings.Fields(string(line))
	k[fields[0]], _ = hex.DecodeString(fields[2])
	k["client random"], _ = hex.DecodeString(fields[1])
	return len(line), nil
}

// againstHandmade returns a moved connection of the role that is tested, and its peer.
func againstHandmade(t *testing.T, version uint16, role string) (*Conn, *memory, *handmade) {
	t.Helper()
	clientConfig, serverConfig := configs(version)
	serverConfig.SessionTicketsDisabled = true // they would be counted
	clientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	clientConfig.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256} // of TLS 1.2
	keys := KeyLog{}
	clientConfig.KeyLogWriter = keys
	client, server := handshake(t, clientConfig, serverConfig)
	subject, replaced := client, server
	if role == "server" {
		subject, replaced = server, client
	}
	at, ok := NetConn(replaced)
	if !ok {
		t.Fatal("the peer can't be replaced")
	}
	serverHello := at.(*end).out.opening
	if role == "server" {
		serverHello = at.(*end).in.opening
	}
	keys["server random"] = serverHello[11:43]
	h := &handmade{end: at.(*end)}
	h.out, h.in = layers(t, client.ConnectionState(), keys)
	if role == "server" {
		h.in, h.out = h.out, h.in
	}
	c, m := move(t, subject, nil)
	return c, m, h
}

// layers returns those of records to a client and to a server. Their handshake is complete.
func layers(t *testing.T, state tls.ConnectionState, keys KeyLog) (toClient, toServer *layer) {
	t.Helper()
	like := layer{version: state.Version, hash: sha256.New, keySize: 16}
	if state.CipherSuite == tls.TLS_AES_256_GCM_SHA384 {
		like.hash, like.keySize = sha512.New384, 32
	}
	toClient, toServer = new(like), new(like)
	switch state.CipherSuite {
	case tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384:
		toClient.setSecret(keys["SERVER_TRAFFIC_SECRET_0"])
		toServer.setSecret(keys["CLIENT_TRAFFIC_SECRET_0"])
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:
		seed := append(append([]byte("key expansion"), keys["server random"]...), keys["client random"]...)
		block := expandTLS12(keys["CLIENT_RANDOM"], seed, 40)
		toServer.setKey(block[:16], block[32:36])
		toClient.setKey(block[16:32], block[36:40])
		toClient.seq, toServer.seq = 1, 1 // behind Finished
	default:
		t.Skip("needs a processor on which crypto/tls prefers AES-GCM, not", tls.CipherSuiteName(state.CipherSuite))
	}
	return toClient, toServer
}

// KeyUpdates returns what makes records for tests outside of the package: each a key update that
// asks for an answer, and behind it text. It takes over from a server's tls.Conn whose client has
// logged its keys to log.
func KeyUpdates(t *testing.T, state tls.ConnectionState, log KeyLog) (next func(text string) []byte) {
	t.Helper()
	out, _ := layers(t, state, log)
	return func(text string) []byte {
		records := out.seal(typeHandshake, []byte{keyUpdate, 0, 0, 1, 1})
		out.update()
		return append(records, out.seal(typeApplication, []byte(text))...)
	}
}

// expandTLS12 is P_SHA256 (RFC 5246 section 5).
func expandTLS12(secret, seed []byte, size int) (out []byte) {
	sum := func(data []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(data)
		return mac.Sum(nil)
	}
	for a := seed; len(out) < size; {
		a = sum(a)
		out = append(out, sum(append(bytes.Clone(a), seed...))...)
	}
	return out[:size]
}
