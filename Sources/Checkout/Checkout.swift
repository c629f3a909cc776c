// Gives the program what it takes from the checkout that it is built of: the commit, and the balancers' configurations,
// which `config init` writes with other addresses; and Storage the tables of each kind of database. Before each build a
// shell looks, and writes anew only what has changed, so that nothing is compiled for nothing.
//
// Without a checkout, in an image or a package, UNDERSTUDY_COMMIT names the commit, or nobody does. A plus sign says
// that files were changed since.

import Foundation
import PackagePlugin

@main
struct Checkout: BuildToolPlugin {
    private static let put = #"""
        put() { if [ "$(cat "$1" 2>/dev/null)" != "$2" ]; then printf '%s\n' "$2" >"$1"; fi; }
        take() {
            if [ ! -r "$1" ]; then echo "$1 is missing" >&2; exit 1; fi
            name=${1##*/}
            text="$text
        static let ${name%.*} = ###\"\"\"
        $(cat "$1")

        \"\"\"###"
        }

        """#

    private static let program = #"""
        commit=${UNDERSTUDY_COMMIT:-$(git -C "$1" rev-parse --short=12 HEAD 2>/dev/null)}
        if [ -n "$(git -C "$1" status --porcelain --untracked-files=no 2>/dev/null)" ]; then commit="$commit+"; fi
        case $commit in *[!0-9A-Za-z.+-]*) commit= ;; esac
        put "$2/BuildCommit.swift" "enum BuildCommit { static let digits = \"$commit\" }"
        text="enum ShippedBalancer {"
        for file in kamailio.cfg nginx.conf haproxy.cfg; do take "$1/Deploy/balancer/$file"; done
        put "$2/ShippedBalancer.swift" "$text
        }"
        """#

    private static let storage = #"""
        text="enum ShippedSchema {"
        for file in "$1"/Deploy/sql/*.sql; do take "$file"; done
        put "$2/ShippedSchema.swift" "$text
        }"
        """#

    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let folder = context.pluginWorkDirectoryURL.appending(path: "Checkout")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let script = Self.put + (target.name == "Storage" ? Self.storage : Self.program)
        return [
            .prebuildCommand(
                displayName: "Checkout", executable: URL(filePath: "/bin/sh"),
                arguments: ["-c", script, "checkout", context.package.directoryURL.path, folder.path],
                outputFilesDirectory: folder)
        ]
    }
}
