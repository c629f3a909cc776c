// Comma-separated tokens: Supported, Require, Proxy-Require, Unsupported, Allow (RFC 3261 §20.32, §20.29, §19.2).

package import Primitives

extension Message {
    /// Visits the tokens of every header of that name in order, empty elements left out.
    package func forEachToken(in name: HeaderName, _ body: (ByteRange) -> Void) {
        let span = RawSpan(_elements: bytes.span)
        forEach(name) { field in
            let end = Int(field.value.end)
            var offset = Int(field.value.start)
            while offset < end {
                let start = Grammar.skipSpace(span, offset, end)
                var comma = start
                while comma < end, span[comma] != 0x2C { comma += 1 }
                let stop = Grammar.trimmedEnd(span, start, comma)
                if stop > start { body(ByteRange(start: start, end: stop)) }
                offset = comma + 1
            }
        }
    }

    /// Writes the tokens of Require or Proxy-Require that are none of `known`, as Unsupported lists them (§8.2.2.3,
    /// §16.3 step 5).
    ///
    /// - Returns: Whether there was any; then the request is answered 420.
    package func writeUnsupported(_ name: HeaderName, known: [StaticString], into writer: inout ByteWriter) -> Bool {
        let bytes = bytes
        var isFirst = true
        forEachToken(in: name) { token in
            guard !known.contains(where: { Text.equalsIgnoringCase(bytes, token, $0) }) else { return }
            writer.put(isFirst ? "" : ", ")
            writer.put(bytes, token)
            isFirst = false
        }
        return !isFirst
    }
}
