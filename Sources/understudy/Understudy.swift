// understudy: one binary. `serve` runs a node; every other command asks a running one over its management address.
//
// Exit codes: 0 done, or the answer is yes; 1 the answer is no (replicas unequal) or the node refused; 2 could not:
// wrong configuration, address in use, node not reachable; 64 wrong usage of the command line. Answers go to standard
// output, errors to standard error, one sentence each.

import ArgumentParser
import Management

@main
struct Program {
    static func main() async {
        let words = Array(CommandLine.arguments.dropFirst())
        guard let tree = CommandTree(dump: Understudy._dumpHelp()) else { return await Understudy.main(words) }
        switch CommandReader(tree).read(words) {
        case .arguments(let arguments): await Understudy.main(arguments)
        case .mistake(let sentence):
            Console.complain(sentence)
            Understudy.exit(withError: ExitCode.validationFailure)
        }
    }
}

struct Understudy: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "understudy",
        abstract: "A SIP proxy cluster where a node may die and no call notices.",
        discussion: """
            Commands other than serve, config, key, script and storage ask a node: --node URL or NAME, or \
            $UNDERSTUDY_NODE, or \
            \(NodeOptions.defaultNode). A node off loopback wants a token: --token-file FILE, or \
            $UNDERSTUDY_TOKEN_FILE; and speaks TLS: https://, with --ca FILE or $UNDERSTUDY_CA_FILE where its \
            certificate is not of an authority that this host knows. \
            --generate-completion-script bash, zsh or fish prints a script for the shell.

            Exit codes: 0 done, or yes; 1 no, or refused; 2 could not (configuration, address in use, node not \
            reachable); 64 wrong usage.
            """,
        version: Build.sentence,
        subcommands: [
            Serve.self, Config.self, Key.self, Status.self, Dialogs.self, Profiles.self, Contacts.self, Check.self,
            Drain.self,
            Undrain.self,
            ReloadCommand.self, LogLevelCommand.self, TraceCommand.self, TopCommand.self, Script.self,
            StorageCommand.self, Call.self,
        ])
}
