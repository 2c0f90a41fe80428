import Foundation
import PackagePlugin

/// Writes down, before every build, what is built: the manifest is remembered by Swift's package manager, and
/// would go on telling an older commit.
@main struct StampCommit: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    let folder = context.pluginWorkDirectoryURL
    let file = folder.appending(path: "Commit.swift")
    // The file stays as it is where the commit does, or everything would be built again.
    let script = """
      cd "$1" || exit 0
      commit=${NAP_COMMIT-$(git rev-parse --short=9 HEAD 2>/dev/null)}
      if [ -z "${NAP_COMMIT-}" ] && [ -n "$commit" ] && ! git diff --quiet HEAD 2>/dev/null; then commit=$commit+; fi
      line="let stampedCommit = \\"$commit\\""
      [ "$line" = "$(cat "$2" 2>/dev/null)" ] || printf '%s\\n' "$line" >"$2"
      """
    return [
      .prebuildCommand(
        displayName: "Noting what is built", executable: URL(fileURLWithPath: "/bin/sh"),
        arguments: ["-c", script, "sh", context.package.directoryURL.path, file.path],
        outputFilesDirectory: folder)
    ]
  }
}
