package websock

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
)

func TestCloseSendsOneCloseFrameAndLingers(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		c, s := newScripted(role, Limits{})
		var closers sync.WaitGroup
		for range 4 {
			closers.Go(func() {
				if err := c.CloseWith(4002, "done"); err != nil {
					t.Error(err)
				}
			})
		}
		closers.Wait()
		if got, want := unframe(role, s.out), "close "+closePayload(4002, "done"); got != want {
			t.Errorf("%v sent %q, want %q", role, got, want)
		}
		if !s.lingered {
			t.Errorf("%v doesn't wait for the peer", role)
		}
		err := c.SendText(nil)
		var closed *CloseError
		if !errors.Is(err, ErrClosed) || !errors.Is(err, net.ErrClosed) || !errors.As(err, &closed) || !closed.Local || closed.Code != 4002 {
			t.Errorf("a send returns %v", err)
		}
	}
}

func TestCloseWithoutStatusSendsAnEmptyCloseFrame(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	if err := c.CloseWith(CloseNoStatus, ""); err != nil || unframe(Client, s.out) != "close" {
		t.Errorf("%v, sent %q", err, unframe(Client, s.out))
	}
}

func TestCloseAnswersThePeersCloseFrameWithItsCode(t *testing.T) {
	for _, test := range []struct{ received, want string }{
		{"close ", "close"},
		{"close " + closePayload(1000, ""), "close " + closePayload(1000, "")},
		{"close " + closePayload(4999, strings.Repeat("r", 123)), "close " + closePayload(4999, "")},
	} {
		for _, role := range []Role{Client, Server} {
			c, s := newScripted(role, Limits{}, frames(role, test.received))
			if _, err := recvAll(c, 10); !errors.As(err, new(*CloseError)) {
				t.Fatal(err)
			}
			c.Close()
			if got := unframe(role, s.out); got != test.want {
				t.Errorf("%v sent %q, want %q", role, got, test.want)
			}
			if s.closed != (role == Server) || s.lingered != (role == Client) {
				t.Errorf("%v: closed %v, lingered %v: the server closes first", role, s.closed, s.lingered)
			}
		}
	}
}

func TestSendCloseLeavesMessagesToBeReceived(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		c, s := newScripted(role, Limits{}, frames(role, "text late; ping p"), frames(role, "close "+closePayload(1000, "")))
		if err := c.SendClose(CloseGoingAway, "bye"); err != nil {
			t.Fatal(err)
		}
		if _, msg, err := c.RecvMessage(nil); string(msg) != "late" || err != nil {
			t.Errorf("%v received %q, %v", role, msg, err)
		}
		var closed *CloseError
		if _, _, err := c.RecvMessage(nil); !errors.As(err, &closed) || !closed.Local || closed.Code != CloseGoingAway || closed.Err != ErrClosed {
			t.Errorf("%v: then %v", role, err)
		}
		if err := c.SendText(nil); !errors.Is(err, ErrClosed) {
			t.Errorf("%v: a send returns %v", role, err)
		}
		if s.closed || s.lingered {
			t.Errorf("%v closes the transport before Close", role)
		}
		if err := c.Close(); err != nil || !s.closed && !s.lingered {
			t.Errorf("%v: Close: %v", role, err)
		}
		if got, want := unframe(role, s.out), "close "+closePayload(1001, "bye"); got != want {
			t.Errorf("%v sent %q, want %q", role, got, want)
		}
	}
}

func TestSendCloseOnAConnectionThatIsClosedReturnsTheErrorOfASend(t *testing.T) {
	c, _ := newScripted(Client, Limits{}, frames(Client, "close "+closePayload(4001, "")))
	if err := c.SendClose(CloseAbnormal, ""); err != ErrCloseCode {
		t.Errorf("%v for a code that must not be sent", err)
	}
	c.RecvMessage(nil)
	var closed *CloseError
	if err := c.SendClose(CloseNormal, ""); !errors.As(err, &closed) || closed.Code != 4001 || closed.Local {
		t.Errorf("%v", err)
	}
}

func TestSendCloseBoundsTheWaitForThePeersAnswer(t *testing.T) {
	url := deaf(t) // it doesn't receive, and so doesn't answer
	for name, carrier := range carriers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Dial(t.Context(), url, &Config{Transport: carrier, Limits: Limits{CloseTimeout: 2 * time.Second}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			received := make(chan error)
			go func() {
				_, _, err := c.RecvMessage(nil)
				received <- err
			}()
			if err := c.SendClose(CloseNormal, ""); err != nil {
				t.Error(err)
			}
			if err := <-received; !errors.Is(err, ErrClosed) || !errors.Is(err, ErrTimeout) {
				t.Errorf("%v, want ErrClosed and ErrTimeout", err)
			}
		})
	}
}

func TestReceivesAfterCloseReturnErrClosed(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	c.CloseWith(CloseGoingAway, "bye")
	s.err = net.ErrClosed
	_, _, err := c.Recv(nil)
	var closed *CloseError
	if !errors.As(err, &closed) || !closed.Local || closed.Code != CloseGoingAway || !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestThePeersCloseFrameIsReceivedAfterAFailedSend(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "close "+closePayload(1013, "busy")))
	s.writeErr = errors.New("broken pipe")
	c.SendText(nil)
	_, err := recvAll(c, 10)
	var closed *CloseError
	if !errors.As(err, &closed) || closed.Code != CloseTryAgainLater {
		t.Errorf("%v", err)
	}
}

func TestCloseReportsAPeerThatDoesNotComplete(t *testing.T) {
	c := NewConn(&noCloseTransport{}, Client, Options{})
	if err := c.Close(); !errors.Is(err, ErrTimeout) {
		t.Errorf("%v, want ErrTimeout", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestANegativeCloseTimeoutMakesCloseNotWait(t *testing.T) {
	c, s := newScripted(Client, Limits{CloseTimeout: -1})
	if err := c.Close(); err != nil || !s.closed || s.lingered {
		t.Errorf("%v; closed %v, lingered %v", err, s.closed, s.lingered)
	}
	if unframe(Client, s.out) != "close "+closePayload(CloseNormal, "") {
		t.Errorf("sent %q", unframe(Client, s.out))
	}
}

func TestTheStreamIsNotClosedBeforeTheCloseFrameIsWritten(t *testing.T) {
	for name, end := range map[string]func(c *Conn, r transport.Receiver){
		"Finish": func(_ *Conn, r transport.Receiver) { r.Finish() },
		"Close":  func(c *Conn, _ transport.Receiver) { c.Close() },
	} {
		s := &lingerTransport{gatedTransport: gatedTransport{begun: make(chan struct{}, 10), free: make(chan struct{}, 10)}}
		s.chunks = [][]byte{frames(Server, "text x")}
		c := NewConn(s, Client, Options{})
		sent := make(chan error)
		go func() { sent <- c.SendBinary([]byte("big")) }()
		<-s.begun
		var r transport.Receiver
		if name == "Finish" {
			c.SetHandler(&recorder{})
			r, s.readable = s.receiver, true
			r.Readable()
		} else {
			recvAll(c, 10)
		}
		go func() { // while the end waits
			time.Sleep(time.Millisecond)
			close(s.free)
		}()
		end(c, r)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if got, want := unframe(Client, s.sent), "bin big; close "+closePayload(1002, "masked frame from a server"); got != want {
			t.Errorf("%s ended the stream behind %q, want %q", name, got, want)
		}
	}
}

func TestCloseBoundsItsWrite(t *testing.T) {
	c, s := newScripted(Client, Limits{CloseTimeout: time.Minute})
	c.Close()
	if in := time.Until(s.writeDeadline); in <= 0 || in > time.Minute {
		t.Errorf("write deadline in %v", in)
	}
}

func TestAppendCloseCutsLongReasonsAtACharacter(t *testing.T) {
	for _, pad := range []int{0, 1, 2} {
		reason := strings.Repeat("x", pad) + strings.Repeat("€", 60)
		p := engine.AppendClose(nil, CloseNormal, reason)
		code, got, err := engine.ParseClose(p)
		if err != nil || code != CloseNormal || len(p) > engine.MaxControlPayload || len(p) < engine.MaxControlPayload-2 {
			t.Errorf("%d bytes, %v, %v", len(p), code, err)
		}
		if !strings.HasPrefix(reason, string(got)) {
			t.Errorf("%q", got)
		}
	}
}

func TestCloseCodesThatMayBeSent(t *testing.T) {
	sendable := map[CloseCode]bool{}
	for _, r := range [][2]CloseCode{{1000, 1003}, {1007, 1014}, {3000, 4999}} {
		for code := r[0]; code <= r[1]; code++ {
			sendable[code] = true
		}
	}
	for code := range CloseCode(65535) {
		if code.Sendable() != sendable[code] {
			t.Errorf("%v: sendable %v", code, code.Sendable())
		}
		_, _, err := engine.ParseClose([]byte{byte(code >> 8), byte(code)})
		if (err == nil) != sendable[code] {
			t.Errorf("%v: received with %v", code, err)
		}
	}
}

func TestTheErrorForAnInvalidCloseFrameHasItsCodeAndReason(t *testing.T) {
	for _, test := range []struct {
		payload string
		code    CloseCode // that the peer gets
		peer    CloseCode
		reason  string
	}{
		{"\x03\xedtoken expired", CloseProtocolError, CloseNoStatus, "token expired"},
		{"\x03\xe7", CloseProtocolError, 999, ""},
		{"\xff\xffbad \xff", CloseProtocolError, 65535, "bad \xff"},
		{"\x03\xe8bad \xff", CloseInvalidPayload, CloseNormal, "bad \xff"},
		{"\x03", CloseProtocolError, 0, ""},
	} {
		for _, role := range []Role{Client, Server} {
			c, _ := newScripted(role, Limits{}, frame(role, OpClose, true, test.payload))
			_, _, err := c.RecvMessage(nil)
			var broken *ProtocolError
			if !errors.As(err, &broken) || broken.Code != test.code || broken.PeerCode != test.peer || broken.PeerReason != test.reason {
				t.Errorf("%v got %q: %#v", role, test.payload, err)
			}
		}
	}
}

func TestErrStaysTheSameAfterTheConnectionWasLost(t *testing.T) {
	broken := errors.New("broken")
	losses := map[string]func(c *Conn, s *scriptTransport){
		"the stream ended": func(c *Conn, s *scriptTransport) { s.err = broken; c.Recv(nil) },
		"a send failed":    func(c *Conn, s *scriptTransport) { s.writeErr = broken; c.SendText(nil) },
	}
	ends := map[string]func(c *Conn){
		"Close":     func(c *Conn) { c.Close() },
		"CloseWith": func(c *Conn) { c.CloseWith(4000, "too late") },
		"Abort":     func(c *Conn) { c.Abort(nil) },
	}
	for loss, lose := range losses {
		for name, end := range ends {
			c, s := newScripted(Client, Limits{})
			lose(c, s)
			end(c)
			_, _, received := c.Recv(nil)
			for what, err := range map[string]error{"Err": c.Err(), "SendText": c.SendText(nil), "Recv": received} {
				var closed *CloseError
				if !errors.As(err, &closed) || closed.Local || closed.Code != CloseAbnormal || !errors.Is(err, broken) {
					t.Errorf("%s, then %s: %s returns %v", loss, name, what, err)
				}
			}
			if !s.closed {
				t.Errorf("%s, then %s: the transport isn't closed", loss, name)
			}
		}
	}
}

func TestACloseFrameSentByAHandlerIsWrittenAtOnce(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "text a"))
	c.SetHandler(&recorder{onData: func(c *Conn, _ Header, _ []byte) {
		c.SendText([]byte("answer"))
		c.Cork()
		c.SendText([]byte("corked"))
		c.CloseWith(4000, "bye")
		if got, want := unframe(Client, s.out), "text answer; text corked; close "+closePayload(4000, "bye"); got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
	}})
	s.readable = true
	s.receiver.Readable()
}

func TestTheCloseWatchdogClosesTheTransportWithoutTheLock(t *testing.T) {
	r := &reentrantTransport{}
	c := NewConn(r, Client, Options{})
	r.conn = c
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&closeWatchdog{conn: weak.Make(c), late: true}).Run()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("Close waits for the lock")
	}
	if err := c.Err(); !errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
}

// The watchdog also runs for a Handler that was set after a send had failed.
func TestTheCloseWatchdogRunsAfterAFailedSend(t *testing.T) {
	p := &closeNotifyTransport{closed: make(chan struct{})}
	p.chunks, p.writeErr = [][]byte{frames(Client, "text x")}, errors.New("broken on purpose")
	c := NewConn(p, Client, Options{Limits: Limits{CloseTimeout: 20 * time.Millisecond}})
	if err := c.SendText(nil); err == nil {
		t.Fatal("sent")
	}
	hang := make(chan struct{})
	if err := c.SetHandler(&recorder{onData: func(*Conn, Header, []byte) { <-hang }}); err != nil {
		t.Fatal(err)
	}
	var playing sync.WaitGroup
	playing.Go(func() { p.play() })
	select {
	case <-p.closed:
	case <-time.After(time.Minute):
		t.Error("the connection stays")
	}
	close(hang)
	playing.Wait()
}

func TestAbortEndsTheConnectionAtOnceWithItsCause(t *testing.T) {
	cause := errors.New("enough")
	for _, given := range []error{cause, nil} {
		c, s := newScripted(Client, Limits{}, nil)
		s.chunks, s.err = nil, net.ErrClosed // what a transport that was closed answers
		c.Abort(given)
		want := given
		if given == nil {
			want = ErrClosed
		}
		_, _, received := c.Recv(make([]byte, 1))
		for what, err := range map[string]error{"send": c.SendText(nil), "receive": received} {
			var closed *CloseError
			if !errors.As(err, &closed) || closed.Code != CloseAbnormal || !closed.Local || !errors.Is(err, want) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if len(s.out) > 0 {
			t.Errorf("sent %x", s.out)
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestEndsWithClose(t *testing.T) {
	masked := func(payload string) string { return string(frame(Server, OpClose, true, payload)) }
	for name, test := range map[string]struct {
		p    string
		want bool
	}{
		"nothing":                {"", false},
		"no status":              {masked(""), true},
		"a status":               {masked("\x03\xe8"), true},
		"after other bytes":      {"\x82\xfe\x01\x00" + masked("\x0f\xa0bye"), true},
		"the longest":            {masked("\x03\xe8" + strings.Repeat("r", 123)), true},
		"half a status":          {masked("\x03"), false},
		"a status never sent":    {masked("\x03\xee"), false},
		"a reason not in UTF-8":  {masked("\x03\xe8\xff"), false},
		"followed by a byte":     {masked("\x03\xe8") + "x", false},
		"without its last byte":  {masked("\x03\xe8bye")[:10], false},
		"without masking":        {"\x88\x02\x03\xe8", false},
		"of another opcode, bin": {"\x82\x82\x00\x00\x00\x00\x03\xe8", false},
	} {
		if got := endsWithClose([]byte(test.p)); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
