// DigestParameters are the credentials of an Authorization or Proxy-Authorization header: `Digest name=value, …` with
// values in quotes or not (RFC 7616 §3.4, RFC 3261 §22.4).

internal import Primitives

package struct DigestParameters: Equatable, Sendable {
    private var names: [[UInt8]] = []
    private var values: [[UInt8]] = []

    /// `nil` when it is no Digest.
    package init?(_ value: [UInt8]) {
        let scheme = [UInt8](copying: "digest ")
        guard value.count > scheme.count, RouteText.equalsIgnoringCase(Array(value[..<scheme.count]), scheme) else {
            return nil
        }
        var index = scheme.count
        while index < value.count {
            guard let equals = value[index...].firstIndex(of: 0x3D) else { return }
            let name = RouteText.trimmed(value[index..<equals])
            index = equals + 1
            while index < value.count, value[index] == 0x20 || value[index] == 0x09 { index += 1 }
            var text: [UInt8] = []
            if index < value.count, value[index] == 0x22 {
                index += 1
                while index < value.count, value[index] != 0x22 {
                    if value[index] == 0x5C, index + 1 < value.count { index += 1 }
                    text.append(value[index])
                    index += 1
                }
                index = (value[min(index, value.count)...].firstIndex(of: 0x2C) ?? value.count - 1) + 1
            } else {
                let end = value[index...].firstIndex(of: 0x2C) ?? value.count
                text = RouteText.trimmed(value[index..<end])
                index = end + 1
            }
            names.append(name)
            values.append(text)
        }
    }

    package func value(of name: [UInt8]) -> [UInt8]? {
        names.firstIndex { RouteText.equalsIgnoringCase($0, name) }.map { values[$0] }
    }

    package subscript(_ name: StaticString) -> [UInt8]? { value(of: [UInt8](copying: name)) }
}
