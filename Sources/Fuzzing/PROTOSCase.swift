// A case of the PROTOS suite c07-sip as it is sent: its file begins with its length and a space, and has `<Name>` where
// addresses, ports and numbers are to be filled in.

package enum PROTOSCase {
    /// - Parameter values: By the name of the place; a place that has none stays as it is.
    package static func message(of file: [UInt8], _ values: [String: String]) -> [UInt8] {
        let length = file.prefix { $0 != 0x20 }
        let count = Int(String(decoding: length, as: UTF8.self)) ?? file.count
        let text = file.dropFirst(length.count + 1).prefix(count)
        var result: [UInt8] = []
        var index = text.startIndex
        while index < text.endIndex {
            if text[index] == 0x3C, let close = text[index...].firstIndex(of: 0x3E),
                let value = values[String(decoding: text[(index + 1)..<close], as: UTF8.self)]
            {
                result += Array(value.utf8)
                index = close + 1
            } else {
                result.append(text[index])
                index += 1
            }
        }
        return result
    }
}
