// The parameters of Kamailio's module: those that decide something here, and those that are only taken.

import Node
import Testing

@Suite("Parameters of the module")
struct ModuleParameterTests {
    private static let names: [String] = SettingKey.all.map(\.name).filter { name in
        name.hasPrefix("ims_dialog.") && SettingKey.named(name)?.manual?.meaning.contains("Without effect") == true
    }

    @Test func `one that decides nothing is taken, in its range, and warned of where it says something else`() {
        #expect(Self.names.count >= 22)
        for name in Self.names {
            var settings = Settings()
            let standard = SettingKey.named(name)?.defaultValue ?? ""
            #expect(settings.set(name, to: .list([standard])).isEmpty, "\(name)")
            #expect(!settings.advice().contains { $0.key == name }, "\(name): its default is no news")
            let other = standard == "1" ? "0" : "1"
            if settings.set(name, to: .list([other == "0" && name.hasSuffix("h_id_step") ? "2" : other])).isEmpty {
                let told = settings.advice().filter { $0.key == name }
                #expect(told.count == (other == standard ? 0 : 1), "\(name)")
                #expect(told.allSatisfy { $0.message.hasPrefix("has no effect: ") && $0.message.count > 25 })
            }
            #expect(!settings.set(name, to: .list([String(repeating: "x", count: 300)])).isEmpty, "\(name)")
        }
    }

    @Test(arguments: [
        ("$avp(timeout)", "timeout"), ("$avp(s:timeout)", "timeout"), ("$avp(i:10)", "10"),
        ("$avp(a-b.c_d)", "a-b.c_d"),
        ("", nil), ("timeout", nil), ("$avp()", nil), ("$avp(s:)", nil), ("$var(x)", nil), ("$avp(a b)", nil),
        ("$avp($fU)", nil), ("$avp(x", nil),
    ])
    func `timeout_avp names one AVP, and is of use with a script alone`(text: String, name: String?) {
        var settings = Settings()
        #expect(settings.set("ims_dialog.timeout_avp", to: .list([text])).isEmpty)
        #expect(settings.dialogs.timeoutAVPName == name)
        #expect(
            settings.dialogs.problems().map(\.key) == (name == nil && !text.isEmpty ? ["ims_dialog.timeout_avp"] : []))
        #expect(settings.advice().map(\.key).contains("ims_dialog.timeout_avp") == !text.isEmpty)
        settings.script.lua = "/etc/understudy/route.lua"
        #expect(!settings.advice().map(\.key).contains("ims_dialog.timeout_avp"))
    }

    @Test(arguments: [("-1", true), ("0", true), ("31", true), ("32", false), ("-2", false), ("x", false)])
    func `dlg_flag is none or one of 32, and of use with a script alone`(text: String, isTaken: Bool) {
        var settings = Settings()
        let problems = settings.set("ims_dialog.dlg_flag", to: .list([text])) + settings.dialogs.problems()
        #expect(problems.isEmpty == isTaken, "\(problems)")
        guard isTaken else { return }
        #expect(settings.advice().map(\.key).contains("ims_dialog.dlg_flag") == (text != "-1"))
        settings.script.lua = "/etc/understudy/route.lua"
        #expect(!settings.advice().map(\.key).contains("ims_dialog.dlg_flag"))
    }

    @Test func `profiles are names with semicolons between, or a list, and none is in both kinds`() {
        var settings = Settings()
        #expect(settings.set("ims_dialog.profiles_with_value", to: .list(["caller; callee"])).isEmpty)
        #expect(settings.set("ims_dialog.profiles_no_value", to: .list(["calls", "caller"])).isEmpty)
        #expect(settings.dialogs.profilesWithValue == ["caller", "callee"])
        #expect(settings.dialogs.problems().map(\.key) == ["ims_dialog.profiles_no_value"])
        settings.dialogs.profilesNoValue = ["calls", "with-dash", "calls"]
        #expect(settings.dialogs.problems().count == 2)
        settings.dialogs.profilesNoValue = (0..<63).map { "p\($0)" }
        #expect(settings.dialogs.problems().map(\.key) == ["ims_dialog.profiles_with_value"])
    }

    @Test func `header lines are as a script writes them, and none is the request's own`() {
        var settings = Settings()
        #expect(settings.set("ims_dialog.dlg_extra_hdrs", to: .list([#"X-A: 1\r\nX-B: 2\r\n"#])).isEmpty)
        #expect(settings.dialogs.extraHeaders == "X-A: 1\r\nX-B: 2\r\n" && settings.dialogs.problems().isEmpty)
        for wrong in ["To: <sip:a@b>", "no colon", "X-A : 1", ": 1"] {
            #expect(settings.set("ims_dialog.dlg_extra_hdrs", to: .list([wrong])).isEmpty)
            #expect(settings.dialogs.problems().map(\.key) == ["ims_dialog.dlg_extra_hdrs"], "\(wrong)")
        }
    }
}
