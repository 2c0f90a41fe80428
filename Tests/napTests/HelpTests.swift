import ArgumentParser
import Foundation
import Testing

@testable import nap

/// What `--help` does not show, `--help-hidden` does, and no sentence sends anybody to it.
@Suite struct HelpTests {
  static let commands = Nap.configuration.subcommands.map { $0._commandName }

  /// Options in a text.
  private func names(_ text: some StringProtocol) -> Set<String> {
    Set(String(text).matches(of: /--[a-z][a-z0-9-]*[a-z0-9]/).map { String($0.output) })
  }

  /// What a command's help lists.
  private func options(_ command: String, hidden: Bool = false) throws -> Set<String> {
    let type = try #require(
      Nap.configuration.subcommands.first { $0._commandName == command })
    let lines = Nap.helpMessage(for: type, includeHidden: hidden, columns: 400)
      .split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    return lines.filter { $0.hasPrefix("-") }.reduce(into: []) { found, line in
      // Names and values, not what is said of them.
      found.formUnion(names(line.prefix { $0 != " " }))
      found.formUnion(names(line.components(separatedBy: "  ")[0]))
    }
  }

  @Test(arguments: commands) func hiddenOptionsAreShownWhereTheyAreAskedFor(_ command: String)
    throws
  {
    let all = try options(command, hidden: true)
    let shown = try options(command)
    #expect(shown.isSubset(of: all))
    let result = try Program.run([command, "--help-hidden"])
    #expect(result.status == 0 && all.isSubset(of: names(result.output)), "\(result)")
    if command == "prune" {
      #expect(
        all.subtracting(shown).isSuperset(of: ["--optimizer", "--curvature-images", "--rounds"]))
    }
  }

  /// Whatever an option is given, the answer names options that `--help` shows, or that very one.
  @Test(arguments: commands) func refusalsNameWhatIsShown(_ command: String) throws {
    let shown = try options(command)
    for option in try options(command, hidden: true) {
      for value in ["0", "-1", "nan", "x", "1e9", "0.5"] {
        do {
          _ = try Nap.parseAsRoot([command, "m", "-o", "o.onnx", "\(option)=\(value)"])
        } catch {
          let message = Nap.fullMessage(for: error).components(separatedBy: "Usage:")[0]
          let named = names(message).subtracting([option, "--help"])
          #expect(named.isSubset(of: shown), "\(option)=\(value): \(message)")
        }
      }
    }
  }

  /// Sentences of all targets below the commands name options that some command shows.
  @Test func adviceNamesWhatIsShown() throws {
    let shown = try Self.commands.reduce(into: Set(["--version"])) { $0.formUnion(try options($1)) }
    let sources = URL(fileURLWithPath: #filePath).appending(path: "../../../Sources")
      .standardizedFileURL
    let files = try FileManager.default.subpathsOfDirectory(atPath: sources.path)
      .filter { $0.hasSuffix(".swift") }
    #expect(files.count > 100)
    for file in files {
      let text = try String(contentsOf: sources.appending(path: file), encoding: .utf8)
      let lines = text.split(separator: "\n").filter {
        // Other programs have options of their own.
        $0.contains("\"") && !$0.contains("python -m tf2onnx.convert")
          && !$0.trimmingCharacters(in: .whitespaces).hasPrefix("//")
      }
      for line in lines
      where file != "nap/Commands/Prune.swift" && file != "nap/Commands/Sensitivity.swift" {
        // A name that goes on in a value is none, such as "--no-\(name)".
        let named = names(
          line.replacing("--no-\\(", with: "").replacing("\"--no-\"", with: "")
            .replacing("--\\(", with: ""))
        #expect(named.isSubset(of: shown), "\(file): \(line)")
      }
    }
  }
}
