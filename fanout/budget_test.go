package fanout

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestTheQueueBudgetIsForAllSlotsTogether(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		const slots, size, most = 20, 1 << 20, 8 << 20
		server := newTestServer(t)
		read := make(chan struct{})
		server.OnConn = func(*websock.Conn) { <-read } // nothing is read before
		server.OnMessage = func(*websock.Conn, websock.Opcode, []byte) {}
		targets := over(transport, server.url())
		targets[0].Config.NetDial = dialSmall
		var refused []error
		g := begun(t, Options{
			Targets: targets, Size: slots, Ping: -1, QueueBudget: most,
			OnUnsent: func(_ *Slot, _ int, err error) { refused = append(refused, err) },
		})
		allUp(t, g)
		for range 3 {
			g.Broadcast(websock.OpBinary, make([]byte, size))
		}
		held := 0
		for s := range g.Slots() {
			held += s.Conn().Queued()
			s.mu.Lock()
			if s.outbox != nil {
				held += s.outbox.cost
			}
			s.mu.Unlock()
		}
		if held > most+slots*(128<<10) || held < most/4 { // a write under way has a piece of its own
			t.Errorf("%d bytes are held", held)
		}
		if len(refused) == 0 {
			t.Error("nothing was refused")
		}
		for _, err := range refused {
			if !errors.Is(err, websock.ErrSendQueueFull) {
				t.Fatal(err)
			}
		}
		close(read)
		eventually(t, "there is room again", func() bool { return g.Slot(0).SendBinary(make([]byte, size)) == nil })
		eventually(t, "all has left", func() bool {
			g.budget.recount()
			return g.budget.used.Load() == 0
		})
	})
}

func TestTheQueueBudgetCountsWhatIsKept(t *testing.T) {
	g := begun(t, Options{Targets: URLs("ws://127.0.0.1:1/"), Size: 10, SendBuffer: 1000, QueueBudget: 3 * (messageCost + 100)})
	if d := g.Broadcast(websock.OpBinary, make([]byte, 100)); d != (Delivery{Kept: 3, Refused: 7}) {
		t.Errorf("%+v", d)
	}
	shutdown(t, g)
	if used := g.budget.used.Load(); used != 0 {
		t.Errorf("%d bytes are counted after all was dropped", used)
	}
}

// A broadcast is deflated once for all slots: compressing this takes milliseconds, each time.
func TestABroadcastIsCompressedOnce(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		for _, takeover := range []bool{false, true} {
			const slots = 10
			server := newTestServer(t)
			server.Compression = websock.DefaultCompression
			got := make(chan bool, 2*slots)
			message := make([]byte, 256<<10)
			for i := range message {
				message[i] = byte(rand.N(16)) + 'a'
			}
			server.OnMessage = func(_ *websock.Conn, op websock.Opcode, msg []byte) {
				got <- op == websock.OpText && bytes.Equal(msg, message)
			}
			targets := over(transport, server.url())
			targets[0].Config.Compression = websock.DefaultCompression
			targets[0].Config.Compression.SendTakeover = takeover
			g := begun(t, Options{Targets: targets, Size: slots, Ping: -1})
			allUp(t, g)
			var shared *sharedMessage
			for s := range g.Slots() {
				if _, err := s.send(websock.OpText, message, &shared); err != nil {
					t.Fatal(err)
				}
			}
			for range slots {
				if !<-got {
					t.Error("another message arrived")
				}
			}
			if prepared := shared != nil && shared.prepared != nil; prepared == takeover {
				t.Errorf("takeover %v: prepared for all: %v", takeover, prepared)
			}
			traffic := func() websock.Stats { return g.Stats().Traffic }
			eventually(t, "the counts", func() bool { return traffic().MessagesSent == slots })
			if s := traffic(); s.BeforeDeflate != slots*uint64(len(message)) || s.AfterDeflate > s.BeforeDeflate*3/4 {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestTargetsThatCanNotBeUsedStopTheSlot(t *testing.T) {
	config := func(change func(*websock.Config)) Target {
		c := websock.Config{Host: "127.0.0.1", Port: 1}
		change(&c)
		return Target{Config: c}
	}
	for name, target := range map[string]Target{
		"port 99999":         {URL: "ws://127.0.0.1:99999/"},
		"port 0":             {URL: "ws://127.0.0.1:0/"},
		"a user name":        {URL: "ws://user:password@127.0.0.1:1/"},
		"a fragment":         {URL: "ws://127.0.0.1:1/#x"},
		"another scheme":     {URL: "ftp://127.0.0.1:1/"},
		"port 99999, Open":   config(func(c *websock.Config) { c.Port = 99999 }),
		"a bad header name":  config(func(c *websock.Config) { c.Header = map[string][]string{"a b": {"x"}} }),
		"a bad header value": config(func(c *websock.Config) { c.Header = map[string][]string{"A": {"x\r\ny"}} }),
		"our own header":     config(func(c *websock.Config) { c.Header = map[string][]string{"Upgrade": {"x"}} }),
		"a bad subprotocol":  config(func(c *websock.Config) { c.Subprotocols = []string{"a b"} }),
	} {
		if g, err := Start(Options{Targets: []Target{target}}); err == nil {
			t.Error(name)
			shutdown(t, g)
		}
		g := begun(t, Options{Size: 1, Choose: func(*Slot) Target { return target }})
		if err := g.WaitUp(t.Context(), 1); err != ErrDown || g.Slot(0).State() != Stopped || g.Stats().Attempts != 1 {
			t.Errorf("%s: %v, %v, %+v", name, err, g.Slot(0).State(), g.Stats())
		}
	}
}
