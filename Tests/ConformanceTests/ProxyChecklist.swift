// Which of the cases that four public proxy test suites name are tested here, and by what. The names of cases are
// facts; the grouping and the reasons are ours. What a case does is known by its name and topic only, so a row says
// that the behaviour it is about is tested, not that the same messages are sent.

/// Some cases of one topic, and what covers them.
struct ChecklistRow {
    enum Coverage {
        /// Function names of tests in this tree, all of which bear on the cases.
        case tested([String])
        /// Why there is none.
        case absent(String)
    }

    var topic: String
    var cases: [String]
    var coverage: Coverage

    init(_ topic: String, _ cases: String, by tests: String...) {
        self.topic = topic
        self.cases = cases.split(whereSeparator: \.isWhitespace).map(String.init)
        coverage = .tested(tests)
    }

    init(_ topic: String, _ cases: String, not reason: String) {
        self.topic = topic
        self.cases = cases.split(whereSeparator: \.isWhitespace).map(String.init)
        coverage = .absent(reason)
    }
}

enum ProxyChecklist {
    /// Topics that are no proxy's at all; each of their rows has this reason.
    static let foreignTopics = [
        "registrar": "a registrar's: this proxy keeps no locations and forwards REGISTER"
    ]

    /// Reasons that make a case none of a proxy's.
    static var foreign: [String] { [Reason.features] + Array(foreignTopics.values) }

    private enum Tests {
        static let forkWinner = "a 2xx goes upstream at once and cancels the others, §16_7 steps 5 and 10"
        static let forkBest = "the best response is chosen as §16_7 step 6 says"
        static let fork6xx = "a 6xx cancels the rest, begins nothing, and is sent when all have ended, §16_7 step 5"
        static let forkCrossing = "a 2xx that crosses a 6xx is still forwarded, §16_7 step 5"
        static let everySuccess = "every 2xx goes upstream, and each is a dialog, §16_7 step 5"
        static let forkCancel =
            "a CANCEL cancels all branches, those without a provisional when one comes, §16_10 and §9_1"
        static let forkTimerC = "timer C of one branch cancels that branch alone, §16_8"
        static let serial = "serial targets are tried one after another, and the best answer is sent at the end"
        static let serialByQ = "a lower q is tried when all of the higher one have failed, §16_6"
        static let serialCancel = "a CANCEL between two serial targets begins no further one, §16_10"
        static let nextAddress = "503 goes to the next address, as a new transaction with its own branch, §4_3"
        static let nextOnSilence = "silence until timer B goes to the next address, §4_3"
        static let nextOnError = "a transport error goes to the next address, and counts as 503 at the last, §16_9"
        static let addressLimit = "at most 8 addresses of a target are tried"
        static let byName =
            "the request goes to the first address when it is known, with its Request-URI as it was"
        static let asked = "what is asked is what the URI says, §4"
        static let noAddress = "without an address the answer is 502"
        static let downTarget = "three silences in a row take a target away, and 30 s later it is tried again"
        static let upAgain = "an answer in between starts the count again, and 503 is an answer"
        static let probes =
            "a target without an answer is down after down-after intervals, and up after up-after answers"
        static let mixed = "our Via names the transport; two Record-Routes where the sides differ, upstream's below"
        static let secure = "a sips Request-URI goes by TLS, and Record-Route is sips (§16.6 step 4)"
        static let noConnection = "without a connection the branch ends as by 503, and the caller is told 500 (§16.9)"
        static let nobodyListens = "a target that nobody listens at is told to the caller as 500"
        static let overTCP =
            "INVITE, 200, ACK and a BYE from the callee find their way over the caller's connection"
        static let together = "messages that come together are told together, and pings are answered between them"
        static let noLength = "a request without Content-Length is told 400, what came before it is not lost"
        static let tooLong = "a message over the limit is told 513, and the stream goes on"
        static let peers = "independent user agents call through the nodes"
        static let finals = "of an INVITE's answers one final goes upstream, and every 2xx"
        static let otherFinals = "of another request's answers the first final goes upstream, and nothing after it"
        static let manySuccesses = "several 2xx of a fork below all go upstream, each dialog is kept, §16.7 step 5"
        static let silentCallee =
            "a silent callee of an INVITE is tried for 64·T1, then the caller has a 408, §17.1.1.2"
        static let silentOther =
            "a silent callee of another request is tried for 64·T1, then nobody is told, RFC 4320 §4.1"
        static let lostSuccess = "a lost 2xx of a request that is no INVITE is given again for a repetition, §17.2.2"
        static let repeatedFailure =
            "a repeated final answer of an INVITE is acknowledged each time and not passed on again, §17.1.1.2"
        static let repeatsFinal = "a final answer is repeated to the caller until its ACK, for 64·T1, §17.2.1"
        static let acks = "each ACK for a 2xx goes downstream, however many and however late, §13_3_1_4"
        static let timerC =
            "timer C ends a call that rings for ever: CANCEL down, then 408 or what the callee says, §16.8"
        static let cancelBeats = "a CANCEL that crosses the 200 is answered, and the call is up, §16_10"
        static let cancelCrosses = "a CANCEL that crosses a failure is answered, and the failure goes upstream"
        static let cancelSilence =
            "after a CANCEL nobody answers, the caller has its final answer within 64·T1 all the same, §9_1"
        static let cancelOther = "a CANCEL of what is no INVITE matches nothing, §9_1"
        static let cancelCSeq =
            "a CANCEL with another CSeq number still names its transaction by its branch, §9_2"
        static let cancel =
            "a CANCEL is answered 200 and sent downstream, the 487 is acknowledged and passed on, the record ends"
        static let cancelEarly = "a CANCEL before any provisional waits for it, §9_1"
        static let altered =
            "the callee may write our branch in capitals, but not another one, and may not drop our Via"
        static let badProvisional = "a provisional that cannot be read is dropped, and the timers go on"
        static let wrongMethod = "an answer for another method than was asked is dropped, §17.1.3"
        static let reflected =
            "our own request that comes back from the callee does no harm, as it is or under another method"
        static let collide = "requests of different methods under one branch are different transactions, §17.2.3"
        static let strayAck =
            "an ACK that belongs to nothing is forwarded by its Request-URI or dropped, never answered"
        static let old = "transactions without the magic cookie are matched by what they are, §17.2.3"
        static let loose = "Routes of ours are consumed, the next one is where it goes, the Request-URI stays"
        static let strictDown =
            "before a strict router the Request-URI moves to the end of the Routes, §16.6 step 6"
        static let strictUp = "behind a strict router our own URI is undone from the last Route, §16.4"
        static let notFound =
            "what is ours and matches no route is not found, and what would come back to us is refused"
        static let loop =
            "a request that comes back unchanged is a loop, one for somebody else a spiral, §16.3 step 4"
        static let spiralCancel = "a CANCEL follows a spiral"
        static let hops = "no hop left is told 483, a hop that is no number 400, §16.3 step 3"
        static let require =
            "each extension in Proxy-Require is refused by name, one in Require is not ours to mind, §16.3 step 5"
        static let rport =
            "an answer goes to the source port where rport asks for it, with received and rport, RFC 3581 §4"
        static let credentials = "credentials, challenges and bodies pass unread, §22_3"
        static let largeAck = "an ACK for a 2xx is forwarded whatever its size, keeping nothing, §16.11"
        static let withoutRecord =
            "a lost call's messages change nothing: BYE, re-INVITE and UPDATE are routed without a record"
        static let flow =
            "a dialog goes through early, confirmed_na and confirmed, and ends with a BYE from either side"
        static let forwarded = "an INVITE is answered 100 and forwarded with Via, Record-Route and one hop less"
        static let absorbed = "retransmissions are absorbed and answered from the transaction"
        static let refresh = "a refresh moves the deadline with its 2xx and keeps the route set"
        static let torture = "and with our own versions of the others"
        static let options = "OPTIONS to the node says 200 while it is up and 503 while it drains, S2-14"
        static let expiry =
            "an expired dialog gets one BYE to each side at its deadline, and no live record is left"
        static let unsentCancel =
            "a CANCEL that no connection could be had for ends alone; 64·T1 after it the caller has 487"
        static let unansweredCancel =
            "a CANCEL that is sent and never answered ends the call 64·T1 after it, not 64·T1 after that"
        static let forkedSpiral =
            "a fork whose branches come back with their own Request-URI spirals, and no dialog is made twice"
        static let forkedLoop = "a branch that comes back with a Request-URI that was here before is a loop, 482"
        static let spiralAnswer = "a 2xx in one branch of a spiral goes the whole way up, and the others are cancelled"
        static let noTrap = "the same proxy takes them again and again, grows by nothing, and then carries a call"
    }

    private enum Reason {
        static let authentication = "this proxy challenges nobody; what it forwards is tested with credentials"
        static let redirect = "a 3xx goes upstream as it is; the proxy does not recurse on it"
        static let unseenFailure =
            "what is sent without a transaction tells nothing of its target, and is not tested for it"
        static let stateless = "a stateless mode: only ACK and what is shed are forwarded without state"
        static let features = "a feature of that product or its user agents, not of a proxy"
    }

    static let rows: [ChecklistRow] =
        basic + cancel + finals + forking + routing + collisions + rest + transports

    private static let basic = [
        ChecklistRow(
            "auth", "testInvite407Dropped testInviteAck407Dropped testInviteClientSpamsAck407", by: Tests.finals,
            Tests.repeatsFinal, Tests.credentials),
        ChecklistRow(
            "auth", "testNonInvite407Dropped testRegister407Dropped testRegister407DroppedWithOutbound",
            by: Tests.lostSuccess, Tests.credentials),
        ChecklistRow(
            "auth",
            """
            testDigestInviteBasic testDigestRegister testInviteBadNonce testInviteBogusAuth testNonInviteBadAuth
            testRegisterBadNonce testRegisterBogusAuth testRegisterBogusAuthWithOutbound testRegisterLateDigestResponse
            testRegisterLateDigestResponseWithOutbound
            """, not: Reason.authentication),
        ChecklistRow(
            "basic",
            """
            dialog invite basic proxy invite1 invite2 testInviteBasic testInviteCalleeHangsUp testInviteCallerHangsUp
            testEarlyMedia testInviteForgedHostInFrom testInviteForgedUserInFrom
            """, by: Tests.forwarded, Tests.flow),
        ChecklistRow("basic", "multiple_200", by: Tests.manySuccesses),
        ChecklistRow("basic", "opts testProxyAlive", by: Tests.options),
        ChecklistRow(
            "basic", "invalid RequestErrors ResponseErrors ContentHeaders testReproExploit1 testInviteUnknownCSeq",
            by: Tests.torture, Tests.hops, Tests.noTrap, Tests.credentials),
        ChecklistRow("basic", "testInviteMalformed1xxWithTimeout", by: Tests.badProvisional, Tests.silentCallee),
        ChecklistRow("basic", "testInviteServerSends180After200", by: Tests.finals),
        ChecklistRow("basic", "early_cancel early_cancel_lost100", by: Tests.cancelEarly, Tests.cancelSilence),
        ChecklistRow(
            "basic",
            "reinvite reinv_onhold reinv_frombob reinv_adelay reinv_fail reinv_bad_ack reinv_brkn1 reinv_brkn2",
            by: Tests.refresh, Tests.withoutRecord, Tests.strayAck),
        ChecklistRow("basic", "nated_contact", by: Tests.rport),
        ChecklistRow("basic", "redirect", not: Reason.redirect),
        ChecklistRow("basic", "FailedProbeDoesNotUngraylist", by: Tests.probes),
        ChecklistRow("basic", "servers", not: Reason.features),
        ChecklistRow("basic", "transport", by: Tests.mixed, Tests.overTCP),
        ChecklistRow("basic", "regs testExpiryCleanup testMultiple1", not: foreignTopics["registrar"] ?? ""),
        ChecklistRow(
            "basic",
            """
            testAttendedExtensionToExtensionTransfer testBlindTransferExtensionToExtensionHangupImmediately
            testConferenceConferencorHangsUp inv_brkn1 t1 t2 t3 t4 t5 t6 t7 t8 t9 t10 t11 t12 t13 t14
            """, not: Reason.features),
    ]

    private static let cancel = [
        ChecklistRow("cancel", "testInviteCallerCancels testInviteNoAnswerCancel", by: Tests.cancel),
        ChecklistRow(
            "cancel", "testInvite200BeatsCancelClientSide testInviteCallerCancelsWithRace LateCancel",
            by: Tests.cancelBeats),
        ChecklistRow(
            "cancel",
            """
            testInvite486BeatsCancelClientSide testInvite486BeatsCancelServerSide testInvite503BeatsCancelClientSide
            testInvite503BeatsCancelServerSide
            """, by: Tests.cancelCrosses),
        ChecklistRow(
            "cancel",
            """
            testCancelTimeout testInviteCallerCancelsNo487 testInviteCancelBefore1xxNo487
            testInviteCancelBefore1xxNo487or1xx
            """, by: Tests.cancelSilence),
        ChecklistRow("cancel", "testInviteCancelBefore1xx", by: Tests.cancelEarly),
        ChecklistRow("cancel", "testCancelInviteCSeq testInviteCancelCSeq", by: Tests.cancelCSeq),
        ChecklistRow(
            "cancel",
            """
            testNonInvite200ThenCancel testNonInvite400ThenCancel testNonInvite500ThenCancel
            testNonInviteWith180andCancel
            """, by: Tests.cancelOther),
        ChecklistRow("cancel", "testSpiralWithCancel", by: Tests.spiralCancel),
        ChecklistRow(
            "cancel",
            """
            ForkedRequestCancel testInviteForkCallerCancels testInviteForkThreeCallerCancels
            testInviteSeqForkCallerCancels
            """,
            by: Tests.forkCancel, Tests.serialCancel),
        ChecklistRow(
            "cancel", "RouteToHomeURITransportCancel TransportFailureWithCancelPending", by: Tests.unsentCancel,
            Tests.unansweredCancel),
    ]

    private static let finals = [
        ChecklistRow(
            "final-response",
            """
            testInvite2xxThen1xx testInvite2xxThen4xx testInvite2xxThen6xx testInvite4xxThen1xx testInvite4xxThen2xx
            testInvite6xxThen2xx testInviteBusy testInviteMultiple4xx
            """, by: Tests.finals),
        ChecklistRow("final-response", "testInviteNoSuchUser testInviteNotFound", by: Tests.finals, Tests.notFound),
        ChecklistRow(
            "final-response",
            """
            testNit2xxThen1xx testNit2xxThen4xx testNit4xxThen1xx testNit4xxThen2xx testNitMultiple4xx
            testNonInviteBusy
            """, by: Tests.otherFinals),
        ChecklistRow("final-response", "RetryOn5xx", by: Tests.nextAddress),
    ]

    private static let forking = [
        ChecklistRow("forking", "testForkedInviteClientLateAck", by: Tests.manySuccesses, Tests.acks),
        ChecklistRow(
            "forking",
            """
            ForkedRequest6xx ForkedRequestConnFail ForkedRequestFail ForkedRequestSuccess test2Parallel
            testInviteFork200And4xx testInviteFork200And5xx testInviteFork200Beats6xx testInviteFork4xx5xx6xx
            testInviteFork4xxAnd5xx testInviteFork6xxBeats200 testInviteForkAll4xxResponses
            testInviteForkAll5xxResponses testInviteForkAll6xxResponses testInviteForkAllAnswerNo1xx
            testInviteForkBothAnswerNoProvisional testInviteForkBothBusy testInviteForkCalleeHangsUp
            testInviteForkCallerHangsUp testInviteForkMerges testInviteForkOneAnswers testInviteForkOneBusy
            testInviteForkRedirect
            """, by: Tests.forkWinner, Tests.forkBest, Tests.fork6xx, Tests.forkCrossing, Tests.everySuccess,
            Tests.noConnection,
            Tests.flow),
        ChecklistRow(
            "forking",
            """
            test2Serial testInviteSeqFork200And4xx testInviteSeqFork200And5xx testInviteSeqFork4xx5xx6xx
            testInviteSeqFork4xxAnd5xx testInviteSeqFork6xxResponse testInviteSeqForkAll4xxResponses
            testInviteSeqForkAll5xxResponses testInviteSeqForkCalleeHangsUp testInviteSeqForkCallerHangsUp
            testInviteSeqForkOneBusy testMultiContactSerial testSequentialQValueInvite
            """, by: Tests.serial, Tests.serialByQ, Tests.forkBest, Tests.fork6xx),
    ]

    private static let routing = [
        ChecklistRow("loop-detection", "testInviteLoop", by: Tests.loop),
        ChecklistRow("loop-detection", "testInviteLoopingRedirect", not: Reason.redirect),
        ChecklistRow(
            "loose-routing",
            "RouteOnRouteHeaders RouteOnRouteHeadersWithTelURI RouteToHomeURIWithPath testRoutingBasic", by: Tests.loose
        ),
        ChecklistRow("loose-routing", "RouteToHomeURINotFound", by: Tests.notFound),
        ChecklistRow("loose-routing", "RouteOnRequestURIDomain", by: Tests.byName),
        ChecklistRow(
            "loose-routing", "RouteToHomeURINoPathTransport RouteToHomeURIWithTransport", by: Tests.mixed, Tests.asked),
        ChecklistRow(
            "loose-routing", "testRegisterWithRecordRoute testRegisterWithRecordRouteWithOutbound",
            not: foreignTopics["registrar"] ?? ""),
        ChecklistRow("spiral", "testNonInviteSpiral testSpiral", by: Tests.loop, Tests.spiralCancel),
        ChecklistRow(
            "spiral",
            "testInviteForkThenSpiral testInviteSeqForkThenSpiral testInviteSpiralThenFork testInviteSpiralThenSeqFork",
            by: Tests.forkedSpiral, Tests.forkedLoop, Tests.spiralAnswer),
        ChecklistRow("strict-routing", "StrictRouterDownstream StrictRouterTelUri", by: Tests.strictDown),
        ChecklistRow("strict-routing", "StrictRouterUpstream", by: Tests.strictUp),
        ChecklistRow("proxy-require", "testSupportedProxyRequire testUnsupportedProxyRequire", by: Tests.require),
        ChecklistRow("redirect", "testBasic302 testInviteBasicRedirect", by: Tests.finals),
        ChecklistRow("redirect", "testInviteRecursiveRedirect", not: Reason.redirect),
        ChecklistRow("stateless", "StatelessForwardACK", by: Tests.largeAck, Tests.acks),
        ChecklistRow("stateless", "StatelessForwardLargeACK StatelessForwardLargeACKNoUplift", by: Tests.largeAck),
    ]

    private static let collisions = [
        ChecklistRow("message-collision", "StatelessForwardResponse", not: Reason.stateless),
        ChecklistRow(
            "message-collision",
            """
            testAck200AndAckResponse testAck200AndInviteResponse testAck200AndNitResponse testAck200InviteResponse
            testAck200NitResponse testAck200WithResponse testAckFailureAndAckResponse testAckFailureAndInviteResponse
            testAckFailureAndNitResponse testAckFailureInviteResponse testAckFailureNitResponse
            testAckFailureWithResponse testInviteAckResponse testInviteAndAckResponse testInviteAndNitResponse
            testInviteNonInviteResponse testNitAckResponse testNitAndAckResponse testNitAndDifferentNitResponse
            testNitAndInviteResponse testNitDifferentNitResponse testNitInviteResponse
            testNonInviteWithWrongMethodResponse
            """, by: Tests.wrongMethod),
        ChecklistRow(
            "message-collision",
            """
            testAck200AndInviteCollide testAck200AndNitCollide testAckFailureAndInviteCollide
            testAckFailureAndNitCollide testInviteAndAckCollide testInviteAndNitCollide testNitAndAckCollide
            testNitAndDifferentNitCollide testNitAndInviteCollide testNonInviteWithInviteCollision
            """, by: Tests.collide, Tests.strayAck),
        ChecklistRow(
            "message-collision",
            """
            testAck200Reflected testAck200ReflectedAsInvite testAck200ReflectedAsNit testAckFailureReflected
            testAckFailureReflectedAsInvite testAckFailureReflectedAsNit testInviteReflectedAsAck
            testInviteReflectedAsNonInvite testNitReflected testNitReflectedAsAck testNitReflectedAsDifferentNit
            testNitReflectedAsInvite testReflectedInvite
            """, by: Tests.reflected, Tests.loop),
        ChecklistRow(
            "message-collision",
            """
            testInvite480Response testInvite488Response testInvite500Response testInvite503Response
            testInvite600Response testInvite603Response testInviteAndResponse
            """, by: Tests.finals),
        ChecklistRow(
            "message-collision",
            "testNitAndResponse testNonInvite4xxResponse testNonInvite5xxResponse testNonInvite6xxResponse",
            by: Tests.otherFinals),
        ChecklistRow(
            "message-collision", "testNonInviteSpamRequestAfterResponse testNonInviteSpamRequestBeforeResponse",
            by: Tests.lostSuccess),
    ]

    private static let rest = [
        ChecklistRow(
            "non-invite", "NonInvite100Trying testInfo testNonInvite200then180 testNonInviteWith180",
            by: Tests.otherFinals),
        ChecklistRow("non-invite", "testNitMalformed1xxWithTimeout", by: Tests.badProvisional, Tests.silentOther),
        ChecklistRow("non-invite", "testNonInviteWithAck200 testNonInviteWithAckFailure", by: Tests.strayAck),
        ChecklistRow("retransmission-loss", "testInvite1xxDropped", by: Tests.absorbed),
        ChecklistRow(
            "retransmission-loss",
            """
            testInviteClientLateAck testInviteClientMissedAck testInviteClientMissedAck2
            testInviteClientRetransmitsAfter200 testInviteClientSpamsAck200
            """, by: Tests.acks, Tests.absorbed),
        ChecklistRow(
            "retransmission-loss", "testInviteClientRetransmissionsWithRecovery testInviteClientSpamsInvite",
            by: Tests.absorbed),
        ChecklistRow(
            "retransmission-loss",
            """
            testInviteNotFoundServerRetransmits testInviteServerRetransmits486 testInviteServerRetransmits503
            testInviteServerRetransmits603
            """, by: Tests.repeatedFailure, Tests.repeatsFinal),
        ChecklistRow("retransmission-loss", "testInviteServerSpams180 testInviteServerSpams200", by: Tests.finals),
        ChecklistRow(
            "retransmission-loss",
            """
            testNonInvite200Dropped testNonInviteClientRetransmissionsWithRecovery testNonInviteServerRetransmission
            testNonInviteSpam200
            """, by: Tests.lostSuccess, Tests.otherFinals),
        ChecklistRow("retransmission-loss", "testNonInviteSpam180", by: Tests.otherFinals),
        ChecklistRow(
            "retransmission-loss", "testNonInviteClientRetransmissionsWithTimeout testNonInviteDropped",
            by: Tests.silentOther),
        ChecklistRow(
            "rfc2543", "testAck2543Tid testInvite2543Tid testNit2543Tid testNonInvite2543Tid", by: Tests.old),
        ChecklistRow("rfc2543", "testInvite2543TidWithDigest", by: Tests.old, Tests.credentials),
        ChecklistRow(
            "timer-c",
            """
            InviteTimerCExpiryCancelTimeout InviteTimerCExpiryCancelled InviteTimerCExpiryRace testTimerC
            testTimerCInterference
            """, by: Tests.timerC),
        ChecklistRow("timer-c", "testTimerCForked testTimerCForkedSequential", by: Tests.forkTimerC, Tests.serial),
    ]

    private static let transports = [
        ChecklistRow(
            "transport-failure", "DontRetryOnTimeout testInviteServerDead", by: Tests.silentCallee, Tests.silentOther),
        ChecklistRow(
            "transport-failure", "testInviteClientDiesAfterFirstInvite testInviteClientDiesAfterSecondInvite",
            by: Tests.repeatsFinal, Tests.expiry),
        ChecklistRow("transport-failure", "testInviteNoDNS DnsResolutionFailure", by: Tests.notFound),
        ChecklistRow(
            "transport-failure", "testInviteNoDNSTcp testInviteTransportFailure", by: Tests.noConnection,
            Tests.nobodyListens, Tests.noAddress),
        ChecklistRow(
            "transport-failure",
            """
            BlacklistOnTimeout GraylistToWhitelistOnCallSuccess RetryFailed RetryOnTransportError
            StopsRetryingAfterManyFailures StopsRetryingIfFewAddresses
            """,
            by: Tests.downTarget, Tests.upAgain, Tests.nextAddress, Tests.nextOnSilence, Tests.nextOnError,
            Tests.addressLimit),
        ChecklistRow(
            "transport-failure", "AckDoesNotBlacklist StatelessProxyNoBlacklistOnTimeout", not: Reason.unseenFailure),
        ChecklistRow(
            "transport-mix",
            """
            testInviteBasicTls testInviteTCPToTLSCalleeHangsUp testInviteTCPToTLSCallerHangsUp
            testInviteTCPToUDPCalleeHangsUp testInviteTCPToUDPCallerHangsUp testInviteTLSToTCPCalleeHangsUp
            testInviteTLSToTCPCallerHangsUp testInviteTLSToUDPCalleeHangsUp testInviteTLSToUDPCallerHangsUp
            testInviteUDPToTCPCalleeHangsUp testInviteUDPToTCPCallerHangsUp testInviteUDPToTLSCalleeHangsUp
            testInviteUDPToTLSCallerHangsUp testNonInviteTCPtoUDP testNonInviteTLS testNonInviteUDPtoTCP
            testTCPMultiMsg testTCPParseBufferError testTCPPreparseError
            """, by: Tests.mixed, Tests.secure, Tests.overTCP, Tests.peers, Tests.together, Tests.noLength,
            Tests.tooLong),
        ChecklistRow(
            "via-handling",
            """
            testInviteBasicUpperCaseBranch testInviteBranchCaseAltered testInviteUASAddsVia
            testInviteUASChangesProxyBranch testInviteUASRemovesProxyVia testNitBranchCaseAltered testNitUASAddsVia
            testNitUASChangesProxyBranch testNitUASRemovesProxyVia
            """, by: Tests.altered),
        ChecklistRow("via-handling", "testInviteBadAckTid1 testInviteBadAckTid2", by: Tests.strayAck),
        ChecklistRow("via-handling", "testInviteForRport", by: Tests.rport),
    ]
}
