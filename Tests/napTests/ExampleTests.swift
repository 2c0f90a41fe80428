import ArgumentParser
import Foundation
import NapTestSupport
import Testing

@testable import nap

/// The small programs of Examples/, and the documents that quote them.
@Suite struct ExampleTests {
  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().appending(path: "../..").standardizedFileURL

  /// What each prints, among other things.
  private static let examples: [(name: String, prints: [String])] = [
    ("OwnData", ["accuracy", "multiply-accumulates", "bytes"]),
    ("OwnCriterion", ["smallest-weights"]),
    ("BuildNetwork", ["numbers [4]", "hidden [32, 36]", "[2, 3]", "true [32]"]),
    ("Progress", ["training", "trained:", "stopped by CancellationError", "there is no preset"]),
    ("FromREADME", ["there is no file 'model.onnx'"]),
  ]

  @Test func everyExampleIsRun() throws {
    let folders = try FileManager.default.contentsOfDirectory(
      atPath: Self.root.appending(path: "Examples/Sources").path)
    #expect(Set(folders) == Set(Self.examples.map(\.name)))
  }

  @Test(arguments: examples.indices) func examplesRun(_ index: Int) throws {
    let (name, prints) = Self.examples[index]
    let process = Process()
    process.executableURL = Program.file.deletingLastPathComponent()
      .appending(path: "Example\(name)")
    let output = Pipe()
    (process.standardOutput, process.standardError) = (output, output)
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    for part in prints { #expect(text.contains(part), "\(text)") }
  }

  private static func documents(in others: [String] = []) throws -> [(name: String, text: String)] {
    var files = [root.appending(path: "README.md")]
    for folder in ["docs", "Sources/NapKit/NapKit.docc"] + others {
      let place = root.appending(path: folder)
      files += try FileManager.default.contentsOfDirectory(atPath: place.path).sorted()
        .filter { $0.hasSuffix(".md") }.map { place.appending(path: $0) }
    }
    return try files.map { ($0.lastPathComponent, try String(contentsOf: $0, encoding: .utf8)) }
  }

  /// A row with more cells than its table has been torn from another one.
  @Test func tablesHaveRowsOfOneLength() throws {
    var rows = 0
    for (name, text) in try Self.documents(in: [".", "Benchmarks"]) {
      var cells = 0
      for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
        let count = line.replacing("\\|", with: "").count { $0 == "|" }
        guard line.hasPrefix("|") else {
          cells = 0
          continue
        }
        if cells == 0 { cells = count }
        #expect(count == cells, "\(name): \(line)")
        rows += 1
      }
    }
    #expect(rows > 300)
  }

  private func lines(_ text: some StringProtocol) -> [String] {
    text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
  }

  /// Swift in documents is part of an example that is compiled and run.
  @Test func swiftInDocumentsIsRun() throws {
    let sources = try Self.examples.map { example in
      let file = Self.root.appending(path: "Examples/Sources/\(example.name)/main.swift")
      return lines(try String(contentsOf: file, encoding: .utf8)).joined(separator: "\n")
    }
    var count = 0
    for (name, text) in try Self.documents() {
      for block in text.components(separatedBy: "```swift\n").dropFirst() {
        let quoted = lines(block.components(separatedBy: "```")[0]).joined(separator: "\n")
        #expect(sources.contains { $0.contains(quoted) }, "\(name): \(quoted)")
        count += 1
      }
    }
    #expect(count > 9)
  }

  /// Commands in documents are understood.
  @Test func commandsInDocumentsAreUnderstood() throws {
    var count = 0
    for (name, text) in try Self.documents() {
      for line in text.split(separator: "\n") where line.hasPrefix("    nap ") {
        var words = Self.words(line.trimmingCharacters(in: .whitespaces)).dropFirst()
        // A list of arguments that go on, or what follows for the shell.
        if let end = words.firstIndex(where: { ["…", "|", ">", "&&"].contains($0) }) {
          words = words[..<end]
        }
        guard let first = words.first, !first.hasPrefix("-") else { continue }
        do {
          _ = try Nap.parseAsRoot(Array(words))
          count += 1
        } catch {
          Issue.record("\(name): \(line): \(Nap.message(for: error))")
        }
      }
    }
    #expect(count > 20)
  }

  /// As a shell splits them.
  private static func words(_ line: String) -> [String] {
    var (words, word, quote): ([String], String, Character?) = ([], "", nil)
    for character in line {
      switch character {
      case "'", "\"":
        if quote == nil { quote = character } else if quote == character { quote = nil }
      case " " where quote == nil:
        if !word.isEmpty { words.append(word) }
        word = ""
      default: word.append(character)
      }
    }
    return word.isEmpty ? words : words + [word]
  }
}
