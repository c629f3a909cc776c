// What stands in `xdata` of a Kamailio's row.

import Dialogs
import Storage
import Testing

@Suite("Profiles in xdata")
struct ModuleLinksTests {
    private static func link(_ name: String, _ value: String? = nil) -> ProfileLink {
        ProfileLink(name: Array(name.utf8), value: value.map { Array($0.utf8) })
    }

    @Test(arguments: [
        ("{}", []), (#"{"other":[1,true,null,-1.5e3,"x",{}]}"#, []), (#" { "profiles" : [ ] } "#, []),
        (#"{"profiles":[{"value":"v","name":"n"}]}"#, [link("n", "v")]),
        (
            #"{"profiles":[{"name":"caller","value":"al\"ice","puid":"p-1","expires":3},{"name":"calls"}]}"#,
            [link("caller", "al\"ice"), link("calls")]
        ),
        (
            #"{"profiles":[{"name":"caller","value":"\u00e9\ud83d\ude00\n\/x"}]}"#, [link("caller", "é😀\n/x")]
        ),
    ])
    func `what is JSON is read, and escapes are characters`(text: String, links: [ProfileLink]) {
        #expect(ModuleStore.links(in: text) == links)
    }

    @Test(arguments: [
        "", "{", "[]", "{}x", #"{"a"}"#, #"{"a":}"#, #"{"a":"b}"#, #"{"profiles":[{"name":"\x"}]}"#,
        #"{"profiles":[{"name":"\u12"}]}"#, #"{"profiles":{}}"#, #"{"profiles":[{"name":3}]}"#,
        #"{"profiles":[{"value":"v"}]}"#, #"{"profiles":[{"name":"n","value":3}]}"#,
    ])
    func `what is no JSON, or says something else, is refused`(text: String) {
        #expect(ModuleStore.links(in: text) == nil)
    }

    @Test func `what is nested without end is refused`() {
        let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
        #expect(ModuleStore.links(in: "{\"other\":\(deep),\"profiles\":[]}") == nil)
    }
}
