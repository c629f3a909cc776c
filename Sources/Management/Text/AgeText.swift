// An age as it is typed: `90`, `90s`, `15m`, `2h`, `1d`.

package enum AgeText {
    /// Seconds, 0 to a hundred years; `nil` for what is no age.
    package static func seconds(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let scales: [String: Int] = ["": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard let number = Int(digits), let scale = scales[text[digits.endIndex...].lowercased()] else { return nil }
        let (seconds, isTooLarge) = number.multipliedReportingOverflow(by: scale)
        return isTooLarge || seconds > 3_155_760_000 ? nil : seconds
    }
}
