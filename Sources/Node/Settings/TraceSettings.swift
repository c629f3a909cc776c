// `trace`: the messages that are kept for `understudy trace`.

package struct TraceSettings: Equatable, Sendable {
    /// `trace.memory-mb`, megabytes, 0 to 1024, default 16: what the last messages may fill, without credentials and
    /// keys; 0 keeps none.
    package var memory = 16

    package init() {}

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        list.range("trace.memory-mb", memory)
        return list.problems
    }
}
