// The cluster's keys, as `cluster.key-file` holds them.
//
// A file is one key, as it stands; or, while keys are changed and ever after, lines:
//
//     understudy keys 1
//     names 4f1c…      dids, branches and digests are made with it; it stays for as long as calls may live
//     key 4f1c…        opens what comes
//     key 9a2b…        opens as well; seals, too, once every member holds it
//
// One key alone is all three. The name-giving key stays when another one seals, because a did or a branch that is on
// its way in a phone's message must mean the same tomorrow; it opens nothing, so who has it can name a dialog and no
// more.

package struct ClusterKeys: Equatable, Sendable {
    /// What dids, branches and digests are made with; empty without a key.
    package var names = Secret([])
    /// What opens, oldest first: one or two, none without a key.
    package var seals: [Secret] = []

    package init() {}

    package init(names: Secret, seals: [Secret]) {
        self.names = names
        self.seals = seals
    }

    package static let minimum = 16
    package static let sealLimit = 2
    private static let heading = "understudy keys 1"

    /// - Parameter bytes: The file's, without the line end at its end.
    /// - Throws: What is wrong with it, a sentence that begins with a verb and tells nothing of a key.
    package init(file bytes: [UInt8]) throws(ClusterKeysError) {
        let lines = bytes.split(omittingEmptySubsequences: false) { $0 == UInt8(ascii: "\n") }.map { line in
            line.last == UInt8(ascii: "\r") ? line.dropLast() : line
        }
        guard lines.first.map({ $0.elementsEqual(Self.heading.utf8) }) == true else {
            names = Secret(bytes)
            seals = [names]
            try check(names, "")
            return
        }
        for (index, line) in lines.enumerated().dropFirst() where !line.isEmpty && line.first != UInt8(ascii: "#") {
            let place = " in line \(index + 1)"
            let words = line.split(separator: UInt8(ascii: " "))
            guard words.count == 2 else { throw ClusterKeysError("holds no 'key …' or 'names …'\(place)") }
            let secret = Secret(Array(words[1]))
            try check(secret, place)
            if words[0].elementsEqual("names".utf8), names.isEmpty {
                names = secret
            } else if words[0].elementsEqual("key".utf8), !seals.contains(secret), seals.count < Self.sealLimit {
                seals.append(secret)
            } else {
                throw ClusterKeysError(
                    "holds one name, or one key, too many\(place): one names line, two different keys")
            }
        }
        guard !names.isEmpty, !seals.isEmpty else { throw ClusterKeysError("lacks its names line, or a key line") }
    }

    private func check(_ secret: Secret, _ place: String) throws(ClusterKeysError) {
        guard !secret.bytes.starts(with: "-----BEGIN ".utf8) else {
            throw ClusterKeysError("is a file of TLS, not a key of the cluster; make one with understudy key new")
        }
        guard secret.bytes.count >= Self.minimum else {
            throw ClusterKeysError("holds \(secret.bytes.count) bytes\(place); at least \(Self.minimum)")
        }
        guard Set(secret.bytes).count > 1 else {
            throw ClusterKeysError("holds one byte again and again\(place); make one with understudy key new")
        }
    }

    /// The file that these are read from.
    package var file: [UInt8] {
        var bytes = Array((Self.heading + "\nnames ").utf8) + names.bytes
        for seal in seals { bytes += Array("\nkey ".utf8) + seal.bytes }
        return bytes + Array("\n".utf8)
    }

    /// Whether the file can hold these: a key of several words, or lines, has no place in it.
    package var isWritable: Bool {
        ([names] + seals).allSatisfy { secret in secret.bytes.allSatisfy { (0x21...0x7e).contains($0) } }
    }
}

package struct ClusterKeysError: Error, Equatable, Sendable {
    package let message: String
    package init(_ message: String) { self.message = message }
}
