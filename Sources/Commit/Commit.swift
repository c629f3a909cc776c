// Tells the program from which commit it was built. Before each build a shell looks at the checkout and writes
// `BuildCommit.swift`, anew only when something changed, so that nothing is compiled for nothing.
//
// Without a checkout, in an image or a package, UNDERSTUDY_COMMIT names it, or nobody does. A plus sign says that files
// were changed since.

import Foundation
import PackagePlugin

@main
struct Commit: BuildToolPlugin {
    private static let script = #"""
        commit=${UNDERSTUDY_COMMIT:-$(git -C "$1" rev-parse --short=12 HEAD 2>/dev/null)}
        if [ -n "$(git -C "$1" status --porcelain --untracked-files=no 2>/dev/null)" ]; then commit="$commit+"; fi
        case $commit in *[!0-9A-Za-z.+-]*) commit= ;; esac
        text="enum BuildCommit { static let digits = \"$commit\" }"
        if [ "$(cat "$2" 2>/dev/null)" != "$text" ]; then printf '%s\n' "$text" >"$2"; fi
        """#

    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let folder = context.pluginWorkDirectoryURL.appending(path: "Commit")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appending(path: "BuildCommit.swift")
        return [
            .prebuildCommand(
                displayName: "Commit", executable: URL(filePath: "/bin/sh"),
                arguments: ["-c", Self.script, "commit", context.package.directoryURL.path, file.path],
                outputFilesDirectory: folder)
        ]
    }
}
