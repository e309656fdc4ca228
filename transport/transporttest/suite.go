package transporttest

import (
	"net"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
)

// A Suite is the tests for one transport.
type Suite struct {
	// Factory makes the transport. websock.Attach puts TLS over it.
	Factory transport.Factory

	// Networks that are tried: "tcp", "unix", "pipe", and "tunnel", a connection on which
	// no deadline can be set.
	Networks []string

	// Secure turns the two ends of a network connection into those of a TLS
	// connection; nil: there is no TLS.
	Secure func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn)

	// Allocates is how many allocations an echo may take, both ways together.
	Allocates float64

	// BlindPoll says that a receive without time to wait can miss what is here.
	BlindPoll bool

	// Parallel makes the tests run in parallel, except those that measure the process. It can be
	// set for transports where a Handler that blocks does not hold up other connections.
	Parallel bool
}

// Run runs all tests.
func (s Suite) Run(t *testing.T) {
	tests := []struct {
		name     string
		run      func(t *testing.T)
		measures bool // allocations, goroutines or descriptors of the process
	}{
		{"EchoOfEverySize", s.testEchoOfEverySize, false},
		{"NoTimeoutLosesAByteOfAStreamThatDrips", s.testNoTimeoutLosesAByteOfAStreamThatDrips, false},
		{"RecvTimeoutOfZeroTakesWhatIsHere", s.testRecvTimeoutOfZeroTakesWhatIsHere, false},
		{"EarlyBytesAreReceivedFirst", s.testEarlyBytesAreReceivedFirst, false},
		{"ManySendersOneReceiver", s.testManySendersOneReceiver, false},
		{"SendDeadlineIsFatal", s.testSendDeadlineIsFatal, false},
		{"EchoAllocatesNothing", s.testEchoAllocatesNothing, true},
		{"CloseFromAnotherGoroutineEndsAReceive", s.testCloseFromAnotherGoroutineEndsAReceive, false},
		{"BothSidesClosingAtOnce", s.testBothSidesClosingAtOnce, false},
		{"CloseDiscardsWhatAFloodingPeerSends", s.testCloseDiscardsWhatAFloodingPeerSends, false},
		{"CloseGivesUpOnAPeerThatDoesNotRead", s.testCloseGivesUpOnAPeerThatDoesNotRead, false},
		{"PushDeliversEarlyAndLaterBytes", s.testPushDeliversEarlyAndLaterBytes, false},
		{"PushCallsTheHandlerFromElsewhere", s.testPushCallsTheHandlerFromElsewhere, false},
		{"PushSeesTheEndThatComesWithTheLastBytes", s.testPushSeesTheEndThatComesWithTheLastBytes, false},
		{"PushEchoAndCloseFromOutside", s.testPushEchoAndCloseFromOutside, false},
		{"PushGivesUpOnAPeerThatDoesNotCompleteTheClose", s.testPushGivesUpOnAPeerThatDoesNotCompleteTheClose, false},
		{"PushEndsAtTheRecvDeadline", s.testPushEndsAtTheRecvDeadline, false},
		{"PushEndsOnAPeerThatSendsWithoutEnd", s.testPushEndsOnAPeerThatSendsWithoutEnd, false},
		{"PauseLeavesTheHandlerAlone", s.testPauseLeavesTheHandlerAlone, false},
		{"ShortPausesLoseNothing", s.testShortPausesLoseNothing, false},
		{"PauseHonoursTheRecvDeadline", s.testPauseHonoursTheRecvDeadline, false},
		{"CloseEndsAPause", s.testCloseEndsAPause, false},
		{"AbortInsideACallbackReturns", s.testAbortInsideACallbackReturns, false},
		{"AbortDoesNotWaitForAHandler", s.testAbortDoesNotWaitForAHandler, false},
		{"AbortDoesNotWaitForThePeer", s.testAbortDoesNotWaitForThePeer, false},
		{"AbortingManyStartsNoGoroutines", s.testAbortingManyStartsNoGoroutines, true},
		{"EveryEndFreesTheDescriptor", s.testEveryEndFreesTheDescriptor, true},
		{"WhateverIsDoneOnCloseComesOnce", s.testWhateverIsDoneOnCloseComesOnce, false},
		{"HandlersCanAbortEachOther", s.testHandlersCanAbortEachOther, false},
		{"NoDataComesAfterAbort", s.testNoDataComesAfterAbort, false},
		{"NoDataComesDuringAPauseWhateverEndsIt", s.testNoDataComesDuringAPauseWhateverEndsIt, false},
		{"AStalledPeerHoldsUpNobodyElse", s.testAStalledPeerHoldsUpNobodyElse, false},
		{"ASenderThatWaitsLosesNothing", s.testASenderThatWaitsLosesNothing, false},
		{"PeersThatSendMuchToEachOtherReceiveIt", s.testPeersThatSendMuchToEachOtherReceiveIt, false},
		{"AHandlerThatDoesNotReturnEndsItsConnectionOnly", s.testAHandlerThatDoesNotReturnEndsItsConnectionOnly, false},
		{"TrySendNeverWaits", s.testTrySendNeverWaits, false},
		{"SendContextSendsNothingWhenItsContextEnds", s.testSendContextSendsNothingWhenItsContextEnds, false},
		{"SendContextInTheMiddleOfAFrameIsFatal", s.testSendContextInTheMiddleOfAFrameIsFatal, false},
		{"AHandlerNeverWaitsForItsOwnQueue", s.testAHandlerNeverWaitsForItsOwnQueue, false},
		{"APreparedMessageArrives", s.testAPreparedMessageArrives, false},
		{"ADeadlineEndsAFirehose", s.testADeadlineEndsAFirehose, false},
		{"AFirehoseIsReceivedWhole", s.testAFirehoseIsReceivedWhole, false},
		{"NetConnIsANetConn", s.testNetConnIsANetConn, false},
		{"NetConnIsOverAfterAWriteTimedOut", s.testNetConnIsOverAfterAWriteTimedOut, false},
		{"AfterTheEndEverythingSaysSo", s.testAfterTheEndEverythingSaysSo, false},
		{"SendersThatWaitReturnAtTheEnd", s.testSendersThatWaitReturnAtTheEnd, false},
		{"CallsThatRaceEndEveryConnectionOnce", s.testCallsThatRaceEndEveryConnectionOnce, false},
		{"ASendErrorWithoutAnEventReachesTheHandler", s.testASendErrorWithoutAnEventReachesTheHandler, false},
		{"WhatWasAcceptedArrivesWhateverSentIt", s.testWhatWasAcceptedArrivesWhateverSentIt, false},
		{"ReadersWithTimeoutsLoseNothing", s.testReadersWithTimeoutsLoseNothing, false},
		{"HandlerAfterPulling", s.testHandlerAfterPulling, false},
		{"TheStateOfTLSIsTold", s.testTheStateOfTLSIsTold, false},
		{"WhatArrivedIsReceivedThoughSendingFailed", s.testWhatArrivedIsReceivedThoughSendingFailed, false},
		{"AFailedSendLeavesCloseTimeoutToReceive", s.testAFailedSendLeavesCloseTimeoutToReceive, false},
		{"NothingProlongsClose", s.testNothingProlongsClose, false},
		{"CloseInASlowHandlerLosesNothing", s.testCloseInASlowHandlerLosesNothing, false},
		{"AHandlerThatHangsDoesNotKeepThePeer", s.testAHandlerThatHangsDoesNotKeepThePeer, false},
		{"ASendDeadlineHoldsWhileAHandlerHangs", s.testASendDeadlineHoldsWhileAHandlerHangs, false},
		{"NothingProlongsRecvTimeout", s.testNothingProlongsRecvTimeout, false},
		{"ARecvDeadlineIsNotLost", s.testARecvDeadlineIsNotLost, false},
		{"ASendDoesNotWaitForAHandler", s.testASendDoesNotWaitForAHandler, false},
		{"EveryUseEndsWithTheConnection", s.testEveryUseEndsWithTheConnection, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !test.measures {
				s.mayRunInParallel(t)
			}
			test.run(t)
		})
	}
}

func (s Suite) eachNetwork(t *testing.T, f func(t *testing.T, network string)) {
	for _, network := range s.Networks {
		t.Run(network, func(t *testing.T) {
			s.mayRunInParallel(t)
			f(t, network)
		})
	}
}

func (s Suite) mayRunInParallel(t *testing.T) {
	if s.Parallel {
		t.Parallel()
	}
}

func (s Suite) eachRole(t *testing.T, f func(t *testing.T, role websock.Role)) {
	for _, role := range []websock.Role{websock.Client, websock.Server} {
		t.Run(role.String(), func(t *testing.T) {
			s.mayRunInParallel(t)
			f(t, role)
		})
	}
}

// attach makes a transport that is closed when the test ends.
func (s Suite) attach(t testing.TB, conn net.Conn, early []byte) transport.Conn {
	t.Helper()
	c, err := websock.Attach(s.Factory, conn, early)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (s Suite) sockets(t testing.TB, network string) (client, server net.Conn) {
	client, server = netpair.Sockets(t, network)
	if s.Secure != nil {
		client, server = s.Secure(t, client, server)
	}
	return client, server
}

// pair returns two connected Conns.
func (s Suite) pair(t testing.TB, network string, limits websock.Limits) (client, server *websock.Conn) {
	a, b := s.sockets(t, network)
	return s.conn(t, a, websock.Client, limits), s.conn(t, b, websock.Server, limits)
}

func (s Suite) conn(t testing.TB, conn net.Conn, role websock.Role, limits websock.Limits) *websock.Conn {
	t.Helper()
	return websock.NewConn(s.attach(t, conn, nil), role, websock.Options{Limits: limits})
}

// Benchmark measures echoes over TCP, pulled and pushed.
func (s Suite) Benchmark(b *testing.B) {
	for _, mode := range []string{"pull", "push"} {
		b.Run(mode, func(b *testing.B) {
			client, server := s.pair(b, "tcp", websock.Limits{})
			go echo(server)
			payload := make([]byte, 128)
			b.ReportAllocs()
			if mode == "pull" {
				buf := make([]byte, 0, 128)
				for b.Loop() {
					client.SendBinary(payload)
					if _, _, err := client.RecvMessage(buf); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				done := make(chan struct{})
				n := 0
				client.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
					if n++; n == b.N {
						close(done)
						return
					}
					c.SendBinary(msg)
				}, nil))
				b.ResetTimer()
				client.SendBinary(payload)
				<-done
			}
			client.Close()
		})
	}
}
