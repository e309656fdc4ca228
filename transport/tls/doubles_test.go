package tls

import (
	"bytes"
	"context"
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
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// A stream is one direction of a connection in memory. It takes any number of bytes.
type stream struct {
	mu       sync.Mutex
	changed  *sync.Cond
	data     []byte
	first    []byte // what was written first
	err      error  // after data
	deadline time.Time
	closed   bool // the reader has closed its end
}

func newStream() *stream {
	s := &stream{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// change calls f, and wakes all that wait.
func (s *stream) change(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	s.changed.Broadcast()
}

func (s *stream) write(p []byte) {
	s.change(func() {
		if s.first == nil {
			s.first = bytes.Clone(p)
		}
		s.data = append(s.data, p...)
	})
}

// end ends the stream after its data.
func (s *stream) end(err error) {
	s.change(func() {
		if s.err == nil {
			s.err = err
		}
	})
}

func (s *stream) setDeadline(at time.Time) {
	s.change(func() { s.deadline = at })
	if !at.IsZero() {
		time.AfterFunc(time.Until(at), func() { s.change(func() {}) }) // locked: a read that saw the time before waits now
	}
}

// read waits for bytes, the end of the stream, the deadline, or close.
func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, net.ErrClosed
		case len(s.data) > 0:
			n := copy(p, s.data)
			s.data = s.data[n:]
			return n, nil
		case s.err != nil:
			return 0, s.err
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		s.changed.Wait()
	}
}

// records returns how many TLS records the data has.
func (s *stream) records() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rest := s.data; len(rest) >= 5; n++ {
		rest = rest[min(len(rest), 5+int(binary.BigEndian.Uint16(rest[3:]))):]
	}
	return n
}

// take removes and returns all data, without waiting.
func (s *stream) take() (data []byte) {
	s.change(func() { data, s.data = s.data, nil })
	return data
}

// discard ends reads, and drops data until the stream ends or d has passed.
func (s *stream) discard(d time.Duration) error {
	s.change(func() { s.closed = true })
	s.setDeadline(time.Now().Add(d))
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		s.data = nil
		switch {
		case s.err != nil:
			return nil
		case !time.Now().Before(s.deadline):
			return os.ErrDeadlineExceeded
		}
		s.changed.Wait()
	}
}

// A memConn is one end of a connection in memory.
type memConn struct{ in, out *stream }

// memPipe returns the two ends of a connection in memory.
func memPipe() (client, server *memConn) {
	up, down := newStream(), newStream()
	return &memConn{down, up}, &memConn{up, down}
}

func (e *memConn) Read(p []byte) (int, error)         { return e.in.read(p) }
func (e *memConn) Write(p []byte) (int, error)        { e.out.write(p); return len(p), nil }
func (e *memConn) LocalAddr() net.Addr                { return &net.UnixAddr{Name: "local", Net: "unix"} }
func (e *memConn) RemoteAddr() net.Addr               { return &net.UnixAddr{Name: "remote", Net: "unix"} }
func (e *memConn) SetReadDeadline(at time.Time) error { e.in.setDeadline(at); return nil }
func (e *memConn) SetWriteDeadline(time.Time) error   { return nil }
func (e *memConn) SetDeadline(at time.Time) error     { return e.SetReadDeadline(at) }

func (e *memConn) Close() error {
	e.out.end(io.EOF)
	e.in.change(func() { e.in.closed = true })
	return nil
}

// A fakeTransport is an inner transport over a memConn. After Push, its event loop is a goroutine.
type fakeTransport struct {
	memConn
	maxRead  int  // how many bytes a read returns at most; 0: what is there
	timeouts bool // before Push, every second read times out
	timedOut bool // the last one has

	receiver transport.Receiver
	view     []byte // what the loop has read
	err      error  // after the view

	mu            sync.Mutex
	changed       *sync.Cond
	paused        bool
	callAgain     bool // Readable is to be called, whether or not something has come
	stalled       bool // the peer takes nothing
	queue         []byte
	writeEnded    bool // the stream ends after the queue
	writes        int
	writeDeadline time.Time
	writeErr      error
}

func newFakeTransport(e *memConn) *fakeTransport {
	m := &fakeTransport{memConn: *e}
	m.changed = sync.NewCond(&m.mu)
	return m
}

func (m *fakeTransport) limit(n int) int {
	if m.maxRead > 0 {
		return min(m.maxRead, n)
	}
	return n
}

func (m *fakeTransport) Read(p []byte) (int, error) {
	if len(m.view) > 0 {
		n := copy(p, m.view)
		m.Consume(n)
		return n, nil
	}
	if m.receiver != nil {
		if m.err != nil {
			return 0, m.err
		}
		return 0, transport.ErrWouldBlock
	}
	if m.timedOut = !m.timedOut; m.timedOut && m.timeouts {
		return 0, os.ErrDeadlineExceeded
	}
	return m.in.read(p[:m.limit(len(p))])
}

func (m *fakeTransport) View() ([]byte, error) {
	if len(m.view) == 0 {
		p := make([]byte, 4096)
		n, err := m.Read(p)
		if err != nil {
			return nil, err
		}
		m.view = p[:n]
	}
	return m.view, nil
}

func (m *fakeTransport) Consume(n int) { m.view = m.view[n:] }

func (m *fakeTransport) Push(r transport.Receiver) error {
	m.receiver = r
	m.callAgain = true
	go m.loop()
	return nil
}

func (m *fakeTransport) loop() {
	p := make([]byte, 64<<10)
	for {
		if !m.takeCallAgain() {
			n, err := m.in.read(p[:m.limit(len(p))])
			if err == os.ErrDeadlineExceeded || err == net.ErrClosed {
				m.receiver.End(err)
				m.receiver.Finish()
				return
			}
			m.view, m.err = p[:n], err
		}
		if m.takeCallAgain() && len(m.view) == 0 { // it may have been paused while reading
			continue
		}
		if m.receiver.Readable() != nil {
			m.receiver.Finish()
			return
		}
	}
}

// takeCallAgain waits while paused, and reports and clears callAgain.
func (m *fakeTransport) takeCallAgain() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.paused {
		m.changed.Wait()
	}
	again := m.callAgain
	m.callAgain = false
	return again
}

func (m *fakeTransport) Pause() {
	m.mu.Lock()
	m.paused = true
	m.mu.Unlock()
}

func (m *fakeTransport) Resume() {
	m.mu.Lock()
	m.paused, m.callAgain = false, true
	m.mu.Unlock()
	m.changed.Broadcast()
}

func (m *fakeTransport) Writev(bufs ...[]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	if m.writeErr == nil && !m.writeDeadline.IsZero() && !time.Now().Before(m.writeDeadline) {
		m.writeErr = os.ErrDeadlineExceeded
	}
	if m.writeErr != nil {
		return m.writeErr
	}
	for _, p := range bufs {
		m.queue = append(m.queue, p...)
	}
	m.sendQueueLocked()
	return nil
}

// sendQueueLocked gives the peer what it takes.
func (m *fakeTransport) sendQueueLocked() {
	if m.stalled {
		return
	}
	m.out.write(m.queue)
	m.queue = m.queue[:0]
	if m.writeEnded {
		m.out.end(io.EOF)
	}
	m.changed.Broadcast()
}

// stall makes the peer take nothing, or everything again.
func (m *fakeTransport) stall(stalled bool) {
	m.mu.Lock()
	m.stalled = stalled
	m.sendQueueLocked()
	m.mu.Unlock()
}

// writeCalls returns how often Writev was called.
func (m *fakeTransport) writeCalls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes
}

func (m *fakeTransport) Queued() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue)
}

func (m *fakeTransport) Queues() bool              { return true }
func (m *fakeTransport) Unacknowledged() int       { return 0 }
func (m *fakeTransport) Yield() bool               { return false }
func (m *fakeTransport) TLS() *tls.ConnectionState { return nil }

func (m *fakeTransport) TryWrite(p []byte) (transport.PendingWrite, error) { return nil, m.Writev(p) }

func (m *fakeTransport) Drain(_ context.Context, most int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) > most && m.writeErr == nil {
		m.changed.Wait()
	}
	return m.writeErr
}

func (m *fakeTransport) SetWriteDeadline(at time.Time) error {
	m.mu.Lock()
	m.writeDeadline = at
	m.mu.Unlock()
	return nil
}

func (m *fakeTransport) CloseWrite() error {
	m.mu.Lock()
	m.writeEnded = true
	m.sendQueueLocked()
	m.mu.Unlock()
	return nil
}

func (m *fakeTransport) Linger(d time.Duration) error {
	err := m.in.discard(d)
	m.Close()
	return err
}

func (m *fakeTransport) Close() error {
	m.mu.Lock()
	m.queue = nil
	m.writeErr = net.ErrClosed
	m.mu.Unlock()
	m.changed.Broadcast()
	return m.memConn.Close()
}

// A drainReceiver is a Receiver that takes all plaintext.
type drainReceiver struct {
	c        *Conn
	received []byte
	ended    chan error
}

func newDrainReceiver(c *Conn) *drainReceiver {
	return &drainReceiver{c: c, ended: make(chan error, 1)}
}

func (d *drainReceiver) Readable() error {
	for {
		view, err := d.c.View()
		if err == transport.ErrWouldBlock {
			return nil
		}
		if err != nil {
			d.ended <- err
			return err
		}
		d.received = append(d.received, view...)
		d.c.Consume(len(view))
	}
}

func (d *drainReceiver) End(err error) { d.ended <- err }
func (d *drainReceiver) Finish()       {}

// A pausingReceiver is a Receiver that pauses after every 10 bytes.
type pausingReceiver struct {
	drainReceiver
	paused chan int
}

func (p *pausingReceiver) Readable() error {
	view, err := p.c.View()
	if err == transport.ErrWouldBlock {
		return nil
	}
	if err != nil {
		p.ended <- err
		return err
	}
	view = view[:min(10, len(view))]
	p.received = append(p.received, view...)
	p.c.Consume(len(view))
	p.c.Pause()
	p.paused <- len(p.received)
	return nil
}

// A scriptedConn is a net.Conn whose reads return one step of a script each.
type scriptedConn struct {
	memConn
	steps []readStep
}

func (s *scriptedConn) Read(p []byte) (int, error) {
	if s.steps == nil {
		return s.memConn.Read(p) // the handshake
	}
	if len(s.steps) == 1 {
		return 0, os.ErrDeadlineExceeded
	}
	next := s.steps[1]
	s.steps = append(s.steps[:1], s.steps[2:]...)
	return copy(p, next.data), next.err
}

// play sets what reads return from now on.
func (s *scriptedConn) play(steps ...readStep) { s.steps = append([]readStep{{}}, steps...) }

type readStep struct {
	data []byte
	err  error
}

// Content types and handshake messages of RFC 8446 and RFC 5246.
const (
	typeAlert       = 21
	typeHandshake   = 22
	typeApplication = 23

	helloRequest     = 0
	newSessionTicket = 4
	keyUpdate        = 24
)

// A rawPeer is a peer that can send records that no tls.Conn would. It takes over the connection of
// a tls.Conn, with the keys that this has logged.
type rawPeer struct {
	*memConn
	in, out *recordLayer
}

// send sends payload in a record of its own.
func (h *rawPeer) send(kind byte, payload ...byte) { h.memConn.out.write(h.out.seal(kind, payload)) }

// receive returns the next record.
func (h *rawPeer) receive(t *testing.T) (kind byte, payload []byte) {
	t.Helper()
	record := make([]byte, 5)
	if _, err := io.ReadFull(h.memConn, record); err != nil {
		t.Fatal(err)
	}
	record = append(record, make([]byte, binary.BigEndian.Uint16(record[3:]))...)
	if _, err := io.ReadFull(h.memConn, record[5:]); err != nil {
		t.Fatal(err)
	}
	kind, payload, err := h.in.open(record)
	if err != nil {
		t.Fatal(err)
	}
	return kind, payload
}

// A recordLayer protects or opens the records of one direction with AES-GCM.
type recordLayer struct {
	version uint16
	secret  []byte // TLS 1.3
	hash    func() hash.Hash
	keySize int

	aead  cipher.AEAD
	nonce []byte // to which the number of the record is added; TLS 1.2: its first 4 bytes
	seq   uint64
}

func (l *recordLayer) setKey(key, nonce []byte) {
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
func (l *recordLayer) seal(kind byte, payload []byte) []byte {
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
func (l *recordLayer) open(record []byte) (kind byte, payload []byte, err error) {
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
func (l *recordLayer) next() (nonce, number []byte) {
	number = binary.BigEndian.AppendUint64(nil, l.seq)
	l.seq++
	nonce = append(bytes.Clone(l.nonce), make([]byte, 12-len(l.nonce))...)
	for i, b := range number {
		nonce[4+i] ^= b
	}
	return nonce, number
}

func (l *recordLayer) additional(number []byte, kind byte, size int) []byte {
	return append(bytes.Clone(number), kind, 3, 3, byte(size>>8), byte(size))
}

// update changes the keys, as a KeyUpdate demands (RFC 8446 section 7.2).
func (l *recordLayer) update() { l.setSecret(l.expand(l.secret, "traffic upd", l.hash().Size())) }

func (l *recordLayer) setSecret(secret []byte) {
	l.secret = secret
	l.setKey(l.expand(secret, "key", l.keySize), l.expand(secret, "iv", 12))
}

// expand is HKDF-Expand-Label with no context (RFC 8446 section 7.1).
func (l *recordLayer) expand(secret []byte, label string, size int) []byte {
	label = "tls13 " + label
	info := append([]byte{0, byte(size), byte(len(label))}, label...)
	key, err := hkdf.Expand(l.hash, secret, string(append(info, 0)), size)
	if err != nil {
		panic(err)
	}
	return key
}

// A KeyLog holds the keys that a tls.Conn logs, by label.
type KeyLog map[string][]byte

func (k KeyLog) Write(line []byte) (int, error) {
	fields := strings.Fields(string(line))
	k[fields[0]], _ = hex.DecodeString(fields[2])
	k["client random"], _ = hex.DecodeString(fields[1])
	return len(line), nil
}

// connectRawPeer returns a moved connection of the role that is tested, and its peer.
func connectRawPeer(t *testing.T, version uint16, role string) (*Conn, *fakeTransport, *rawPeer) {
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
	serverHello := at.(*memConn).out.first
	if role == "server" {
		serverHello = at.(*memConn).in.first
	}
	keys["server random"] = serverHello[11:43]
	h := &rawPeer{memConn: at.(*memConn)}
	h.out, h.in = layers(t, client.ConnectionState(), keys)
	if role == "server" {
		h.in, h.out = h.out, h.in
	}
	c, m := move(t, subject, nil)
	return c, m, h
}

// layers returns those of records to a client and to a server. Their handshake is complete.
func layers(t *testing.T, state tls.ConnectionState, keys KeyLog) (toClient, toServer *recordLayer) {
	t.Helper()
	like := recordLayer{version: state.Version, hash: sha256.New, keySize: 16}
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

// KeyUpdates returns a function that makes records: a key update that requests a reply, and then
// text. They continue what a server's tls.Conn has sent to a client that logged its keys to log.
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

// plaintext returns n bytes that aren't all alike.
func plaintext(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}
