// Profiles: sets of dialogs under names of the configuration, some with values (`calls`; `caller` by who calls). A
// dialog's links are facts of its record; sizes are read from the table's index, the same on every node.

import Dialogs
import Primitives

/// A profile of the configuration, and how many dialogs are in it.
package struct ProfileReport: Equatable, Sendable {
    package var name: String
    package var takesValue: Bool
    /// Links; a dialog that is in it under two values has two.
    package var size: Int

    package init(name: String, takesValue: Bool, size: Int) {
        self.name = name
        self.takesValue = takesValue
        self.size = size
    }
}

extension Node {
    /// The profiles of the configuration, sorted by name.
    package func profiles() -> [ProfileReport] {
        let with = settings.dialogs.profilesWithValue.map { ($0, true) }
        let all = with + settings.dialogs.profilesNoValue.map { ($0, false) }
        return all.map { name, takesValue in
            ProfileReport(
                name: name, takesValue: takesValue,
                size: store.dialogs.size(ofProfile: ProfileLink(name: Array(name.utf8))))
        }.sorted { $0.name < $1.name }
    }

    /// How many live dialogs of the cluster are in a profile, under one value or all.
    package func size(ofProfile name: String, value: String?) throws(DialogError) -> Int {
        try knownProfile(name)
        let value = takesValue(name) ? value : nil
        return store.dialogs.size(ofProfile: ProfileLink(name: Array(name.utf8), value: value.map { Array($0.utf8) }))
    }

    /// Whether a dialog is in a profile, under one value or, without one, any.
    package func isInProfile(_ name: String, value: String?, did text: String) throws(DialogError) -> Bool {
        try knownProfile(name)
        let did = try known(text)
        let isAny = takesValue(name) && value == nil
        let link = ProfileLink(name: Array(name.utf8), value: takesValue(name) ? value.map { Array($0.utf8) } : nil)
        return store.dialogs.view(did) { view, bytes in
            guard view.state != .deleted else { return false }
            guard isAny else { return view.isMember(link, in: bytes) }
            var found = false
            view.forEachProfile(in: bytes) { entry in
                found = found || entry.value != nil && ProfileLink(key: Array(bytes[entry.key.range])).name == link.name
            }
            return found
        } ?? false
    }

    func takesValue(_ name: String) -> Bool { settings.dialogs.profilesWithValue.contains(name) }

    func knownProfile(_ name: String) throws(DialogError) {
        guard takesValue(name) || settings.dialogs.profilesNoValue.contains(name) else { throw .unknownProfile(name) }
    }

    /// The link that a change names; the value of a profile without values is ignored.
    func link(_ name: String, _ value: String?) throws(DialogError) -> ProfileLink {
        try knownProfile(name)
        guard takesValue(name) else { return ProfileLink(name: Array(name.utf8)) }
        guard let value, !value.isEmpty else { throw .profileNeedsValue(name) }
        guard value.utf8.count <= DialogChange.nameLimit, !value.utf8.contains(0) else {
            throw .invalid("a profile's value has 1 to \(DialogChange.nameLimit) bytes, none of them NUL")
        }
        return ProfileLink(name: Array(name.utf8), value: Array(value.utf8))
    }
}
