// What is said about a command line before its parser sees it, by the words of the parser's own description.

import Management
import Testing

@Suite("Mistakes on the command line")
struct CommandReaderTests {
    /// The parts of ArgumentParser's description that are read.
    static let dump = """
        {"serializationVersion":0,"command":{"commandName":"tool","subcommands":[
          {"commandName":"serve","arguments":[
            {"kind":"option","isRepeating":false,"isOptional":true,"names":[{"kind":"long","name":"config"},\
        {"kind":"short","name":"c"}]},
            {"kind":"option","isRepeating":true,"isOptional":true,"names":[{"kind":"long","name":"set"}]},
            {"kind":"option","isRepeating":false,"isOptional":true,"names":[{"kind":"long","name":"drain-timeout"}]}]},
          {"commandName":"status","arguments":[
            {"kind":"option","isRepeating":false,"isOptional":true,"names":[{"kind":"long","name":"node"},\
        {"kind":"short","name":"n"}]},
            {"kind":"flag","isRepeating":false,"isOptional":true,"names":[{"kind":"long","name":"json"},\
        {"kind":"short","name":"j"}]},
            {"kind":"flag","isRepeating":false,"isOptional":true,"names":[{"kind":"long","name":"quiet"},\
        {"kind":"short","name":"q"}]}]},
          {"commandName":"dialogs","subcommands":[
            {"commandName":"list","arguments":[
              {"kind":"option","isRepeating":false,"isOptional":true,"names":[{"kind":"long","name":"limit"},\
        {"kind":"short","name":"l"}]}]},
            {"commandName":"show","arguments":[
              {"kind":"positional","isRepeating":false,"isOptional":false,"valueName":"dialog"}]}]},
          {"commandName":"check","arguments":[
            {"kind":"positional","isRepeating":false,"isOptional":true,"valueName":"file"}]},
          {"commandName":"rpc","arguments":[
            {"kind":"positional","isRepeating":false,"isOptional":false,"valueName":"method"},
            {"kind":"positional","isRepeating":true,"isOptional":true,"valueName":"parameters"},
            {"kind":"option","isRepeating":false,"isOptional":true,"names":[{"kind":"long","name":"node"}]}]}]}}
        """

    func read(_ line: String) throws -> CommandReader.Reading {
        let tree = try #require(CommandTree(dump: Self.dump))
        return CommandReader(tree).read(line.split(separator: " ").map(String.init))
    }

    @Test(arguments: [
        ("statsu --node u", "'statsu' is not a command of 'tool'; did you mean 'tool status'?"),
        ("stat", "'stat' is not a command of 'tool'; did you mean 'tool status'?"),
        ("profiles", "'profiles' is not a command of 'tool'; there are serve, status, dialogs, check, rpc"),
        (
            "--node u status",
            "'tool' wants a command before --node, one of serve, status, dialogs, check, rpc: tool status --node …"
        ),
        (
            "dialogs --node u",
            "'tool dialogs' wants a command before --node, one of list, show: tool dialogs list --node …"
        ),
        ("dialogs lst --node u", "'lst' is not a command of 'tool dialogs'; did you mean 'tool dialogs list'?"),
        ("dialogs status", "'status' is not a command of 'tool dialogs'; did you mean 'tool status'?"),
        ("show x", "'show' is not a command of 'tool'; did you mean 'tool dialogs show'?"),
        ("help dialogs lst", "'lst' is not a command of 'tool dialogs'; did you mean 'tool dialogs list'?"),
        ("status --node a --node b", "--node was given twice; 'tool status' takes it once"),
        ("status -n a --node=b", "--node was given twice; 'tool status' takes it once"),
        ("serve --config a --config b", "--config was given twice; 'tool serve' takes it once"),
        ("serve FILE", "'tool serve' takes its file by an option: tool serve --config FILE"),
        ("status http://h:8080", "'tool status' takes the node by an option: tool status --node http://h:8080"),
        ("status --node --json", "--node wants a value before --json"),
        ("stop", "'stop' is not a command of 'tool': a node drains and leaves on SIGTERM, as from systemctl"),
        ("start", "'start' is not a command of 'tool'; did you mean 'tool serve'?"),
        ("members", "'members' is not a command of 'tool'; did you mean 'tool status'?"),
        ("calls", "'calls' is not a command of 'tool'; did you mean 'tool dialogs list'?"),
        ("logs", "'logs' is not a command of 'tool': a node's log is its standard output, and journalctl has it"),
        ("status \u{2014}json", "'\u{2014}json' begins with a typographic dash; write --json"),
        ("status \u{2013}n u", "'\u{2013}n' begins with a typographic dash; write -n"),
        ("status --jsn u", "'--jsn' is not an option of 'tool status'; did you mean --json?"),
        ("status -node u", "'-node' is not an option of 'tool status'; did you mean --node?"),
        ("serve --confg f", "'--confg' is not an option of 'tool serve'; did you mean --config?"),
        ("serve -f f", "'tool serve' takes its file by an option: tool serve --config f"),
        ("status --josn", "'--josn' is not an option of 'tool status'; did you mean --json?"),
        ("status --wide", "'--wide' is not an option of 'tool status'; there are --node, --json, --quiet"),
        ("status help", "'tool status' takes no word; did you mean 'tool help status'?"),
        ("serve -c a b", "'b' is one word too many: 'tool serve' takes options only"),
        (
            "--json status",
            "'tool' wants a command before --json, one of serve, status, dialogs, check, rpc: tool status --json …"
        ),
        ("status --foo", "'--foo' is not an option of 'tool status'; there are --node, --json, --quiet"),
        (
            "dialogs list --limit 5 early",
            "'early' belongs to no option: --limit takes one value, 5; more of it is "
                + "written with a comma or in quotation marks"
        ),
        ("serve --set a.b udp://h:1", "--set wants KEY=VALUE, written together: --set a.b=udp://h:1"),
        ("dialogs ls", "'ls' is not a command of 'tool dialogs'; did you mean 'tool dialogs list'?"),
        ("dialogs get x", "'get' is not a command of 'tool dialogs'; did you mean 'tool dialogs show'?"),
        ("mi x", "'mi' is not a command of 'tool'; did you mean 'tool rpc'?"),
        ("uptime", "'uptime' is not a command of 'tool'; did you mean 'tool status'?"),
        ("rpc m --node", "--node wants a value, and none stands behind it"),
        ("rpc m --node=", "--node wants a value, and none stands behind it"),
        ("check -c f", "'tool check' takes its file without -c: tool check f"),
        ("check --config f", "'tool check' takes its file without --config: tool check f"),
    ])
    func `a mistake is one sentence`(line: String, sentence: String) throws {
        #expect(try read(line) == .mistake(sentence))
    }

    @Test(arguments: [
        ("", ""), ("-v", "--version"), ("version", "--version"), ("--version", "--version"), ("--help", "--help"),
        ("status --help", "status --help"), ("help dialogs list", "help dialogs list"), ("dialogs", "dialogs"),
        ("status -jq", "status -jq"), ("status --help-hidden", "status --help-hidden"),
        ("serve --set a=1 --set b=2", "serve --set=a=1 --set=b=2"),
        ("dialogs list --limit -5", "dialogs list --limit=-5"), ("dialogs list -l -5", "dialogs list --limit=-5"),
        ("dialogs list --limit=-5", "dialogs list --limit=-5"),
        ("serve --drain-timeout -1", "serve --drain-timeout=-1"),
        ("rpc m 0 -1 --node u", "rpc --node=u -- m 0 -1"), ("rpc m 1 2", "rpc m 1 2"), ("rpc m -- -1", "rpc -- m -1"),
        ("dialogs show a b", "dialogs show a b"), ("status --node", "status --node"), ("status -n u", "status -n u"),
        ("---completion status -- x", "---completion status -- x"),
    ])
    func `what is right reaches the parser, numbers below zero as values`(line: String, passed: String) throws {
        #expect(try read(line) == .arguments(passed.split(separator: " ").map(String.init)))
    }

    @Test func `an empty value stays the option's value`() throws {
        let tree = try #require(CommandTree(dump: Self.dump))
        #expect(CommandReader(tree).read(["serve", "--config", ""]) == .arguments(["serve", "--config", ""]))
    }

    @Test func `a description that is none is not taken`() {
        #expect(CommandTree(dump: "") == nil && CommandTree(dump: "{}") == nil)
    }
}
