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
}

// Run runs all tests.
func (s Suite) Run(t *testing.T) {
	tests := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"EchoOfEverySize", s.testEchoOfEverySize},
		{"NoTimeoutLosesAByteOfAStreamThatDrips", s.testNoTimeoutLosesAByteOfAStreamThatDrips},
		{"RecvTimeoutOfZeroTakesWhatIsHere", s.testRecvTimeoutOfZeroTakesWhatIsHere},
		{"EarlyBytesAreReceivedFirst", s.testEarlyBytesAreReceivedFirst},
		{"ManySendersOneReceiver", s.testManySendersOneReceiver},
		{"SendDeadlineIsFatal", s.testSendDeadlineIsFatal},
		{"EchoAllocatesNothing", s.testEchoAllocatesNothing},
		{"CloseFromAnotherGoroutineEndsAReceive", s.testCloseFromAnotherGoroutineEndsAReceive},
		{"BothSidesClosingAtOnce", s.testBothSidesClosingAtOnce},
		{"CloseDiscardsWhatAFloodingPeerSends", s.testCloseDiscardsWhatAFloodingPeerSends},
		{"CloseGivesUpOnAPeerThatDoesNotRead", s.testCloseGivesUpOnAPeerThatDoesNotRead},
		{"PushDeliversEarlyAndLaterBytes", s.testPushDeliversEarlyAndLaterBytes},
		{"PushCallsTheHandlerFromElsewhere", s.testPushCallsTheHandlerFromElsewhere},
		{"PushSeesTheEndThatComesWithTheLastBytes", s.testPushSeesTheEndThatComesWithTheLastBytes},
		{"PushEchoAndCloseFromOutside", s.testPushEchoAndCloseFromOutside},
		{"PushGivesUpOnAPeerThatDoesNotCompleteTheClose", s.testPushGivesUpOnAPeerThatDoesNotCompleteTheClose},
		{"PushEndsAtTheRecvDeadline", s.testPushEndsAtTheRecvDeadline},
		{"PushEndsOnAPeerThatSendsWithoutEnd", s.testPushEndsOnAPeerThatSendsWithoutEnd},
		{"PauseLeavesTheHandlerAlone", s.testPauseLeavesTheHandlerAlone},
		{"ShortPausesLoseNothing", s.testShortPausesLoseNothing},
		{"PauseHonoursTheRecvDeadline", s.testPauseHonoursTheRecvDeadline},
		{"CloseEndsAPause", s.testCloseEndsAPause},
		{"AbortInsideACallbackReturns", s.testAbortInsideACallbackReturns},
		{"AbortDoesNotWaitForAHandler", s.testAbortDoesNotWaitForAHandler},
		{"AbortDoesNotWaitForThePeer", s.testAbortDoesNotWaitForThePeer},
		{"AbortingManyStartsNoGoroutines", s.testAbortingManyStartsNoGoroutines},
		{"EveryEndFreesTheDescriptor", s.testEveryEndFreesTheDescriptor},
		{"WhateverIsDoneOnCloseComesOnce", s.testWhateverIsDoneOnCloseComesOnce},
		{"HandlersCanAbortEachOther", s.testHandlersCanAbortEachOther},
		{"NoDataComesAfterAbort", s.testNoDataComesAfterAbort},
		{"NoDataComesDuringAPauseWhateverEndsIt", s.testNoDataComesDuringAPauseWhateverEndsIt},
		{"AStalledPeerHoldsUpNobodyElse", s.testAStalledPeerHoldsUpNobodyElse},
		{"ASenderThatWaitsLosesNothing", s.testASenderThatWaitsLosesNothing},
		{"PeersThatSendMuchToEachOtherReceiveIt", s.testPeersThatSendMuchToEachOtherReceiveIt},
		{"AHandlerThatDoesNotReturnEndsItsConnectionOnly", s.testAHandlerThatDoesNotReturnEndsItsConnectionOnly},
		{"TrySendNeverWaits", s.testTrySendNeverWaits},
		{"SendContextSendsNothingWhenItsContextEnds", s.testSendContextSendsNothingWhenItsContextEnds},
		{"SendContextInTheMiddleOfAFrameIsFatal", s.testSendContextInTheMiddleOfAFrameIsFatal},
		{"AHandlerNeverWaitsForItsOwnQueue", s.testAHandlerNeverWaitsForItsOwnQueue},
		{"APreparedMessageArrives", s.testAPreparedMessageArrives},
		{"ADeadlineEndsAFirehose", s.testADeadlineEndsAFirehose},
		{"AFirehoseIsReceivedWhole", s.testAFirehoseIsReceivedWhole},
		{"NetConnIsANetConn", s.testNetConnIsANetConn},
		{"NetConnIsOverAfterAWriteTimedOut", s.testNetConnIsOverAfterAWriteTimedOut},
		{"AfterTheEndEverythingSaysSo", s.testAfterTheEndEverythingSaysSo},
		{"SendersThatWaitReturnAtTheEnd", s.testSendersThatWaitReturnAtTheEnd},
		{"CallsThatRaceEndEveryConnectionOnce", s.testCallsThatRaceEndEveryConnectionOnce},
		{"ASendErrorWithoutAnEventReachesTheHandler", s.testASendErrorWithoutAnEventReachesTheHandler},
		{"WhatWasAcceptedArrivesWhateverSentIt", s.testWhatWasAcceptedArrivesWhateverSentIt},
		{"ReadersWithTimeoutsLoseNothing", s.testReadersWithTimeoutsLoseNothing},
		{"HandlerAfterPulling", s.testHandlerAfterPulling},
		{"TheStateOfTLSIsTold", s.testTheStateOfTLSIsTold},
		{"WhatArrivedIsReceivedThoughSendingFailed", s.testWhatArrivedIsReceivedThoughSendingFailed},
		{"AFailedSendLeavesCloseTimeoutToReceive", s.testAFailedSendLeavesCloseTimeoutToReceive},
		{"NothingProlongsClose", s.testNothingProlongsClose},
		{"CloseInASlowHandlerLosesNothing", s.testCloseInASlowHandlerLosesNothing},
		{"AHandlerThatHangsDoesNotKeepThePeer", s.testAHandlerThatHangsDoesNotKeepThePeer},
		{"ASendDeadlineHoldsWhileAHandlerHangs", s.testASendDeadlineHoldsWhileAHandlerHangs},
		{"NothingProlongsRecvTimeout", s.testNothingProlongsRecvTimeout},
		{"ARecvDeadlineIsNotLost", s.testARecvDeadlineIsNotLost},
		{"ASendDoesNotWaitForAHandler", s.testASendDoesNotWaitForAHandler},
		{"EveryUseEndsWithTheConnection", s.testEveryUseEndsWithTheConnection},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

func (s Suite) eachNetwork(t *testing.T, f func(t *testing.T, network string)) {
	for _, network := range s.Networks {
		t.Run(network, func(t *testing.T) { f(t, network) })
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
