// The module rtpengine: each function but the choice of a set asks a media relay, and goes on when that has answered.

internal import Routes

extension Library {
    static let mediaRelays: [KSRFunction] =
        [
            managing("rtpengine_manage"), managing0("rtpengine_manage0"),
            .asks("rtpengine.start_recording") { run, _ in run.askMediaRelay(.startRecording, []) },
            .asks("rtpengine.stop_recording") { run, _ in run.askMediaRelay(.stopRecording, []) },
            .asks("rtpengine.play_media", .text) { run, given in run.askMediaRelay(.playMedia, given.text(0)) },
            KSRFunction("rtpengine.set_rtpengine_set", .number, .number) { run, given in
                .integer(run.useMediaSets([given.number(0)]))
            },
            KSRFunction("rtpengine.set_rtpengine_set2", .number, .number, .number) { run, given in
                .integer(run.useMediaSets([given.number(0), given.number(1)]))
            },
        ] + pairs

    private static let operations: [(name: String, operation: MediaOperation)] = [
        ("rtpengine_offer", .offer), ("rtpengine_answer", .answer), ("rtpengine_delete", .delete),
        ("rtpengine_query", .query), ("block_dtmf", .blockDTMF), ("unblock_dtmf", .unblockDTMF),
        ("block_media", .blockMedia), ("unblock_media", .unblockMedia), ("silence_media", .silenceMedia),
        ("unsilence_media", .unsilenceMedia), ("stop_media", .stopMedia),
    ]

    /// Each with flags and without.
    private static let pairs: [KSRFunction] = operations.flatMap { (name, operation) -> [KSRFunction] in
        [
            .asks("rtpengine." + name, .text) { run, given in run.askMediaRelay(operation, given.text(0)) },
            .asks("rtpengine." + name + "0") { run, _ in run.askMediaRelay(operation, []) },
        ]
    }

    private static func managing(_ name: String) -> KSRFunction {
        .asks("rtpengine." + name, .text) { run, given in run.manageMedia(given.text(0)) }
    }

    private static func managing0(_ name: String) -> KSRFunction {
        .asks("rtpengine." + name) { run, _ in run.manageMedia([]) }
    }
}
