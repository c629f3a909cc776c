// BINRPC, version 1: what kamcmd and Kamailio's `ctl` module speak. One packet asks, one answers.
//
//      0          1                 2 …            …                …
//      │ 0xA │ 1 │ type │ ll │ cl │ length, ll+1   │ cookie, cl+1   │ values, `length` bytes         all big-endian
//                 4 bits  2    2
//
// type: 0 request, 1 reply, 3 fault. The cookie comes back as it was sent. A value is a byte and what it says follows:
//
//      │ long? │ size, 3 bits │ kind, 4 bits │      long: `size` bytes follow that hold the size; long and 0: the
//                                                 end of a struct or an array
//
// kind: 0 integer (its bytes without leading zeros), 1 text, 2 decimal (an integer, thousandths), 3 struct, 4 array,
// 5 name of a member, 6 bytes. A text's size counts the zero byte at its end. A request begins with a text, the
// method's name; a fault is an integer, the code, and a text. `ctl` writes an array within a struct as a struct whose
// members need no name, and kamcmd reads it so; several results of one call stand one after another.
//
// Limits: `sizeLimit` bytes of a request, `depthLimit` structs within each other, `valueLimit` values.

package enum BINRPC {
    package static let sizeLimit = 65_536
    package static let depthLimit = 8
    package static let valueLimit = 1_024

    package enum Value: Equatable, Sendable {
        case integer(Int64)
        case text(String)
        case decimal(Double)
        /// A member without a name has an empty one.
        case structure([Member])
        case array([Value])
        case bytes([UInt8])
    }

    package struct Member: Equatable, Sendable {
        package var name: String
        package var value: Value
        package init(_ name: String, _ value: Value) {
            self.name = name
            self.value = value
        }
    }

    package struct Request: Equatable, Sendable {
        package var cookie: [UInt8]
        package var method: String
        package var parameters: [Value]

        package init(cookie: [UInt8], method: String, parameters: [Value]) {
            self.cookie = cookie
            self.method = method
            self.parameters = parameters
        }
    }

    package enum Fault: Error, Equatable, Sendable {
        /// The packet is not whole yet.
        case incomplete
        /// No BINRPC, or none of this version: where the next packet begins is unknown.
        case notBINRPC
        /// The packet ends at `length`, and what it says cannot be used.
        case malformed(length: Int)
        case tooLong
    }

    /// Reads the packet at the beginning of what a connection has brought.
    /// - Returns: The request, and how many bytes it took.
    package static func request(_ bytes: ArraySlice<UInt8>) throws(Fault) -> (request: Request, length: Int) {
        let start = bytes.startIndex
        guard bytes.count >= 2 else {
            guard bytes.first.map({ $0 == 0xA1 }) ?? true else { throw .notBINRPC }
            throw .incomplete
        }
        guard bytes[start] == 0xA1, bytes[start + 1] >> 4 == 0 else { throw .notBINRPC }
        let lengthSize = Int(bytes[start + 1] >> 2 & 3) + 1
        let cookieSize = Int(bytes[start + 1] & 3) + 1
        let head = 2 + lengthSize + cookieSize
        guard bytes.count >= 2 + lengthSize else { throw .incomplete }
        let size = bytes[start + 2..<start + 2 + lengthSize].reduce(0) { $0 << 8 | Int($1) }
        guard head + size <= sizeLimit else { throw .tooLong }
        guard bytes.count >= head + size else { throw .incomplete }
        let cookie = Array(bytes[start + 2 + lengthSize..<start + head])
        var reader = Reader(rest: bytes[start + head..<start + head + size])
        guard case .text(let method)? = reader.next(), let parameters = reader.all() else {
            throw .malformed(length: head + size)
        }
        return (Request(cookie: cookie, method: method, parameters: parameters), head + size)
    }

    package static func write(_ request: Request) -> [UInt8] {
        packet(0, request.cookie, [.text(request.method)] + request.parameters)
    }

    package static func reply(_ values: [Value], to cookie: [UInt8]) -> [UInt8] { packet(1, cookie, values) }

    package static func fault(_ code: Int, _ text: String, to cookie: [UInt8]) -> [UInt8] {
        packet(3, cookie, [.integer(Int64(code)), .text(text)])
    }

    private static func packet(_ type: UInt8, _ cookie: [UInt8], _ values: [Value]) -> [UInt8] {
        var body = Writer()
        for value in values { body.put(value) }
        let length = Writer.digits(UInt64(body.bytes.count), atLeast: 1)
        let cookie = cookie.isEmpty ? [0] : Array(cookie.prefix(4))
        let sizes = UInt8(length.count - 1) << 2 | UInt8(cookie.count - 1)
        return [0xA1, type << 4 | sizes] + length + cookie + body.bytes
    }
}

extension BINRPC {
    private struct Reader {
        var rest: ArraySlice<UInt8>
        var depth = 0
        var count = 0

        private enum Kind: UInt8 { case integer, text, decimal, structure, array, name, bytes }

        private enum Mark {
            case value(Value)
            case name(String)
            case end(Kind)
        }

        /// The next value; `nil` at the end and for what cannot be read.
        mutating func next() -> Value? {
            guard case .value(let value)? = mark() else { return nil }
            return value
        }

        /// Everything that is left; `nil` when some of it cannot be read.
        mutating func all() -> [Value]? {
            var values: [Value] = []
            while !rest.isEmpty {
                guard let value = next() else { return nil }
                values.append(value)
            }
            return values
        }

        private mutating func mark() -> Mark? {
            guard let byte = rest.popFirst(), let kind = Kind(rawValue: byte & 15) else { return nil }
            var size = Int(byte >> 4 & 7)
            if byte & 0x80 != 0 {
                if size == 0 { return .end(kind) }
                guard size <= 4, let long = number(size) else { return nil }
                size = Int(long)
            }
            count += 1
            guard count <= valueLimit else { return nil }
            switch kind {
            case .integer: return integer(size).map { .value(.integer($0)) }
            case .decimal: return integer(size).map { .value(.decimal(Double($0) / 1_000)) }
            case .text: return text(size).map { .value(.text($0)) }
            case .name: return text(size).map { .name($0) }
            case .bytes: return take(size).map { .value(.bytes(Array($0))) }
            case .structure: return size == 0 ? members().map { .value(.structure($0)) } : nil
            case .array: return size == 0 ? elements().map { .value(.array($0)) } : nil
            }
        }

        private mutating func take(_ size: Int) -> ArraySlice<UInt8>? {
            guard size <= rest.count else { return nil }
            defer { rest = rest.dropFirst(size) }
            return rest.prefix(size)
        }

        private mutating func number(_ size: Int) -> UInt64? {
            take(size).map { $0.reduce(0) { $0 << 8 | UInt64($1) } }
        }

        /// Four bytes are a C int's; fewer are never below zero, since leading zeros alone are left out.
        private mutating func integer(_ size: Int) -> Int64? {
            guard size <= 4, let number = number(size) else { return nil }
            return size == 4 ? Int64(Int32(truncatingIfNeeded: number)) : Int64(number)
        }

        private mutating func text(_ size: Int) -> String? {
            guard size > 0, let bytes = take(size), bytes.last == 0 else { return nil }
            return String(decoding: bytes.dropLast(), as: UTF8.self)
        }

        private mutating func members() -> [Member]? {
            guard depth < depthLimit else { return nil }
            depth += 1
            defer { depth -= 1 }
            var members: [Member] = []
            while let mark = mark() {
                switch mark {
                case .end(.structure): return members
                case .end: return nil
                case .value(let value): members.append(Member("", value))
                case .name(let name):
                    guard let value = next() else { return nil }
                    members.append(Member(name, value))
                }
            }
            return nil
        }

        private mutating func elements() -> [Value]? {
            guard depth < depthLimit else { return nil }
            depth += 1
            defer { depth -= 1 }
            var values: [Value] = []
            while let mark = mark() {
                switch mark {
                case .end(.array): return values
                case .value(let value): values.append(value)
                case .end, .name: return nil
                }
            }
            return nil
        }
    }

    private struct Writer {
        var bytes: [UInt8] = []

        /// Without leading zeros.
        static func digits(_ value: UInt64, atLeast count: Int) -> [UInt8] {
            var digits: [UInt8] = []
            var value = value
            while value > 0 {
                digits.append(UInt8(truncatingIfNeeded: value))
                value >>= 8
            }
            while digits.count < count { digits.append(0) }
            return digits.reversed()
        }

        private mutating func head(_ kind: UInt8, _ size: Int) {
            if size < 8 {
                bytes.append(UInt8(size) << 4 | kind)
            } else {
                let length = Self.digits(UInt64(size), atLeast: 1)
                bytes.append(0x80 | UInt8(length.count) << 4 | kind)
                bytes += length
            }
        }

        private mutating func put(_ kind: UInt8, number: Int64) {
            // What a C int does not hold would come out as another number: it is cut, not wrapped.
            let value = Int32(clamping: number)
            let digits = Self.digits(UInt64(UInt32(bitPattern: value)), atLeast: 0)
            head(kind, digits.count)
            bytes += digits
        }

        private mutating func put(_ kind: UInt8, text: String) {
            // A zero byte ends a text of C.
            let text = text.utf8.filter { $0 != 0 }
            head(kind, text.count + 1)
            bytes += text + [0]
        }

        mutating func put(_ value: Value) {
            switch value {
            case .integer(let number): put(0, number: number)
            case .text(let text): put(1, text: text)
            case .decimal(let number):
                let thousandths = (number * 1_000).rounded()
                put(2, number: thousandths.isFinite ? Int64(max(-2e9, min(2e9, thousandths))) : 0)
            case .structure(let members):
                head(3, 0)
                for member in members {
                    if !member.name.isEmpty { put(5, text: member.name) }
                    put(member.value)
                }
                bytes.append(0x83)
            case .array(let values):
                head(4, 0)
                for value in values { put(value) }
                bytes.append(0x84)
            case .bytes(let raw):
                head(6, raw.count)
                bytes += raw
            }
        }
    }
}
