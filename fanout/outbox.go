package fanout

import (
	"runtime"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/timing"
)

// messageCost is what a message counts in addition to its payload: the memory that it takes.
const messageCost = 40

// A message waits to be sent. Nobody changes its payload, which broadcasts share.
type message struct {
	payload []byte
	shared  *sharedMessage // that has the payload; nil: it is for this slot alone
	op      websock.Opcode
}

func (m *message) cost() int { return len(m.payload) + messageCost }

// count is 1 for a message of the application, 0 for a ping.
func (m *message) count() int {
	if m.op.IsData() {
		return 1
	}
	return 0
}

func (m *message) send(c *websock.Conn) error {
	if m.shared != nil && compressesAlone(c) {
		return m.shared.send(c, m.op)
	}
	return c.SendFrame(m.op, true, m.payload)
}

func countOf(messages []message) (n int) {
	for i := range messages {
		n += messages[i].count()
	}
	return n
}

// An outbox has the messages that wait on a slot: until it is up and, where the transport can't
// queue, until the peer has taken earlier ones. It is under the slot's lock.
type outbox struct {
	slot      *Slot
	messages  []message
	spare     []message // memory for the next ones
	cost      int       // of messages, and of those being sent
	state     outboxState
	closeCode websock.CloseCode // with which the connection is to be closed after messages; 0: it isn't
}

// An outboxState says what the workers do with an outbox.
type outboxState uint8

const (
	outboxIdle    outboxState = iota
	outboxQueued              // it waits for a worker
	outboxSending             // a worker is sending
)

// A batch has messages that were taken from an outbox and are being sent.
type batch struct {
	from     *outbox
	messages []message
	cost     int
}

func (s *Slot) ensureOutboxLocked() *outbox {
	if s.outbox == nil {
		s.outbox = &outbox{slot: s}
	}
	return s.outbox
}

// keepLocked puts a message into the outbox. Its cost is already reserved in the budget.
func (s *Slot) keepLocked(m message) {
	o := s.ensureOutboxLocked()
	o.messages = append(o.messages, m)
	o.cost += m.cost()
	o.scheduleLocked()
}

// scheduleLocked has a worker send what waits, if there is a connection.
func (o *outbox) scheduleLocked() {
	if l := o.slot.link; l != nil && l.lostErr == nil && o.state == outboxIdle {
		o.state = outboxQueued
		o.slot.group.writers.add(o)
	}
}

// checkRoomLocked returns an error if a message with a payload of this size can't be kept.
func (s *Slot) checkRoomLocked(size int) error {
	waiting, cost := 0, size+messageCost
	if s.outbox != nil {
		waiting = s.outbox.cost
	}
	limit, most, cause := "SendBuffer", s.group.options.SendBuffer, error(nil)
	if s.link != nil {
		limit, most, cause = "SendQueue", s.link.sendQueue, websock.ErrSendQueueFull
		if waiting == 0 {
			return nil
		}
	}
	if cost > most-waiting {
		return &websock.LimitError{Limit: limit, Max: int64(most), Code: websock.ClosePolicyViolation, Err: cause}
	}
	return nil
}

// takeLocked takes all messages out of the outbox; nil: there are none.
func (o *outbox) takeLocked() *batch {
	if o == nil || len(o.messages) == 0 {
		return nil
	}
	b := &batch{from: o, messages: o.messages}
	for i := range b.messages {
		b.cost += b.messages[i].cost()
	}
	o.messages, o.spare = o.spare, nil
	return b
}

// send sends the batch, with one write if it is small enough. It returns how many messages were
// not sent, and why. It may wait for the peer.
func (b *batch) send(c *websock.Conn) (unsent int, err error) {
	c.Cork()
	for i := range b.messages {
		m := &b.messages[i]
		if failed := m.send(c); failed != nil {
			unsent += m.count()
			err = failed
		}
	}
	if failed := c.Flush(); failed != nil { // any of them may have been lost
		return countOf(b.messages), failed
	}
	return unsent, err
}

// release returns the batch's memory to the outbox, and its cost to the budget.
func (b *batch) release() {
	s := b.from.slot
	s.mu.Lock()
	defer s.mu.Unlock()
	b.from.cost -= b.cost
	s.group.budget.release(b.cost)
	clear(b.messages)
	b.from.spare = b.messages[:0]
}

// trimOutboxLocked drops the messages that aren't kept for the next connection, and returns how
// many these are.
func (s *Slot) trimOutboxLocked() (dropped int) {
	old, most := s.outbox, s.group.options.SendBuffer
	if old == nil {
		return 0
	}
	s.outbox = nil
	if stateOf(s.phase, s.intent) == Stopped {
		most = 0
	}
	kept := &outbox{slot: s}
	for i := range old.messages {
		m := &old.messages[i]
		if m.op.IsData() && m.cost() <= most-kept.cost {
			kept.messages = append(kept.messages, *m)
			kept.cost += m.cost()
		} else {
			dropped += m.count()
			s.group.budget.release(m.cost())
		}
	}
	if kept.cost > 0 {
		s.outbox = kept
	}
	return dropped
}

// reportUnsent counts messages that won't be sent, and calls OnUnsent.
func (s *Slot) reportUnsent(messages int, err error) {
	if messages == 0 {
		return
	}
	g := s.group
	g.counts.dropped(messages)
	if g.options.OnUnsent != nil && !g.over() {
		g.options.OnUnsent(s, messages, err)
	}
}

// deliver sends the messages of the outbox. It is called by a worker.
func (o *outbox) deliver() {
	s := o.slot
	s.group.addRunning()
	defer s.group.doneRunning()
	defer o.delivered()
	conn, b, code := o.begin()
	if code != 0 {
		defer conn.CloseWith(code, "") // even if OnUnsent ends the goroutine
	}
	if b != nil {
		unsent, err := b.send(conn)
		b.release()
		if timedOut(err) && (code != 0 || o.closes()) {
			conn.Abort(err) // the peer has had CloseTimeout already: see closeAfterOutboxLocked
		}
		defer s.recoverPanic()
		s.reportUnsent(unsent, err)
	}
}

// begin takes what is to be sent, and the code with which the connection is to be closed then, 0 if it
// isn't. conn is nil if the connection that the outbox was scheduled for has ended: then OnDown may be called
// at any moment, and OnUnsent must not be, beside it.
func (o *outbox) begin() (conn *websock.Conn, b *batch, code websock.CloseCode) {
	s := o.slot
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outbox != o || s.link == nil || s.link.lostErr != nil {
		return nil, nil, 0
	}
	code, o.closeCode = o.closeCode, 0
	o.state = outboxSending
	return s.link.conn, o.takeLocked(), code
}

// closes reports whether the connection is to be closed after the messages.
func (o *outbox) closes() bool {
	o.slot.mu.Lock()
	defer o.slot.mu.Unlock()
	return o.closeCode != 0
}

// delivered schedules the outbox again if more waits. If the connection was lost meanwhile, it takes
// the slot down.
func (o *outbox) delivered() {
	s := o.slot
	s.mu.Lock()
	l := s.link
	lost := o.state == outboxSending && s.outbox == o && l != nil && l.lostErr != nil
	o.state = outboxIdle
	if s.outbox == o && (len(o.messages) > 0 || o.closeCode != 0) {
		o.scheduleLocked()
	}
	s.mu.Unlock()
	if lost {
		s.takeDown(l, l.lostErr)
	}
}

// A workerPool delivers outboxes where a send may wait for the peer. It has a few workers, which
// are goroutines, and more if these are blocked: at most one for each peer that doesn't read.
// Workers end when no outbox waits.
type workerPool struct {
	group *Group

	mu       sync.Mutex
	queue    []*outbox
	workers  int
	busy     int    // workers that are delivering
	blocked  int    // of these: were found to be blocked, and still are
	growths  int    // how often some were found
	taken    uint64 // outboxes, from the queue
	seen     uint64 // taken at the last check
	checking bool   // Run checks whether all workers are blocked
}

// minWorkers is how many workers there may be in addition to those that are blocked.
func minWorkers() int { return 2 * runtime.GOMAXPROCS(0) }

// add has an outbox delivered.
func (p *workerPool) add(o *outbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, o)
	if p.workers-p.blocked < minWorkers() {
		p.startWorkerLocked()
		return
	}
	if !p.checking {
		p.checking, p.seen = true, p.taken
		p.group.scheduler.Add(timing.Tick, p)
	}
}

func (p *workerPool) startWorkerLocked() {
	p.workers++
	go p.work()
}

// Run makes a workerPool a timing.Task. It doubles the number of workers if all of them are
// blocked.
func (p *workerPool) Run() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.checking = false
		return 0
	}
	if p.taken == p.seen {
		p.blocked = p.busy
		p.growths++
		for range min(p.workers, len(p.queue)) {
			p.startWorkerLocked()
		}
	}
	p.seen = p.taken
	return timing.Tick
}

// work is a worker.
func (p *workerPool) work() {
	for p.deliverNext() {
	}
}

// deliverNext delivers an outbox, and reports whether there was one.
func (p *workerPool) deliverNext() bool {
	o, growths := p.take()
	if o == nil {
		return false
	}
	returned := false
	defer func() {
		p.done(growths)
		if !returned { // OnUnsent has ended the goroutine
			p.replaceWorker()
		}
	}()
	o.deliver()
	returned = true
	return true
}

// replaceWorker starts another worker for one that ends, if there is work for it.
func (p *workerPool) replaceWorker() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.workers--
	if len(p.queue) > 0 {
		p.startWorkerLocked()
	}
}

// take returns an outbox to deliver, and a number for done. If there is none, the worker
// ends.
func (p *workerPool) take() (o *outbox, growths int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.workers--
		return nil, 0
	}
	o = p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	p.taken++
	p.busy++
	return o, p.growths
}

// done counts a worker that is no longer busy, and no longer blocked if it was.
func (p *workerPool) done(growths int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	if growths != p.growths {
		p.blocked--
	}
}
