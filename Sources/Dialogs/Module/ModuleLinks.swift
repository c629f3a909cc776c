// ModuleLinks are a dialog's profiles as the module has them in the column `xdata`:
//
//     {"profiles":[{"name":"calls"},{"name":"caller","value":"alice"}]}
//
// Links that the column has no room for are left out. Reading it is Storage's (`ModuleStore.links`).

internal import Primitives

enum ModuleLinks {
    /// - Returns: `nil` without profiles; and how many did not fit.
    static func text(of view: RecordView, in bytes: [UInt8], limit: Int) -> (text: String?, leftOut: Int) {
        var links: [ProfileLink] = []
        view.forEachProfile(in: bytes) { entry in
            if entry.value != nil { links.append(ProfileLink(key: Array(bytes[entry.key.range]))) }
        }
        guard !links.isEmpty else { return (nil, 0) }
        var (objects, length, leftOut): ([String], Int, Int) = ([], 0, 0)
        let frame = #"{"profiles":[]}"#
        for link in links {
            let value = link.value.map { ",\"value\":\(quoted($0))" } ?? ""
            let object = "{\"name\":\(quoted(link.name))\(value)}"
            let more = object.unicodeScalars.count + 1
            guard frame.count + length + more <= limit else {
                leftOut += 1
                continue
            }
            length += more
            objects.append(object)
        }
        return ("{\"profiles\":[\(objects.joined(separator: ","))]}", leftOut)
    }

    private static func quoted(_ bytes: [UInt8]) -> String {
        var text = "\""
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\0": text += "\u{FFFD}"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}
