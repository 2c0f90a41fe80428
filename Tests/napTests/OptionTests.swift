import ArgumentParser
import Foundation
import NapKit
import NapReport
import NapTensor
import Testing

@testable import nap

@Suite struct ProgressLineTests {
  private func line(_ step: Int, of steps: Int) -> ProgressLine {
    var progress = WorkProgress(
      stage: "estimating statistics", step: step, steps: steps, images: 128 * step,
      loss: 12.3456, score: 98.76)
    progress.part = "round 2 of 4"
    return ProgressLine(progress: progress, seconds: 100)
  }

  /// Whatever the width, a line fits with a column to spare, and begins with what matters most.
  @Test func linesFitAnyTerminal() {
    for width in 1...200 {
      for step in [0, 1, 99, 100, 250] {
        let text = line(step, of: 100).drawn(width: width)
        #expect(text.count <= max(1, width - 1) && !text.contains("\n"))
      }
    }
    #expect(
      line(50, of: 100).drawn(width: 50).contains("round 2 of 4, estimating statistics  50 %"))
    #expect(line(50, of: 100).drawn(width: 200).contains("loss 12.3456"))
    #expect(line(50, of: 100).drawn(width: 200).hasPrefix("████████████░░░░░░░░░░░░ "))
  }

  @Test func nothingIsMoreThanWhole() {
    #expect(line(250, of: 100).facts[0].hasSuffix("100 %"))
    #expect(line(0, of: 0).facts[0].hasSuffix("  0 %"))
  }

  @Test func timesAreReadAsTheyAreSaid() {
    for (seconds, text) in [
      (0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.6, "1:00 min"), (185, "3:05 min"),
      (4320, "1:12 h"), (360_000, "100:00 h"), (.infinity, "277777:46 h"), (-5, "-5.0 s"),
    ] {
      #expect(duration(seconds) == text)
    }
  }
}

@Suite struct OptionTests {
  @Test(
    arguments: [
      ("30m", 1800), ("1h30m", 5400), ("90s", 90), ("45", 45), ("5min", 300), ("5 min", 300),
      ("1.5 hours", 5400), ("1h 30 min", 5400), ("2d", 172_800), ("1H", 3600),
    ] as [(String, Double)]) func timesAreUnderstood(_ text: String, _ seconds: Double)
  {
    #expect(TimeSpan(argument: text)?.seconds == seconds)
  }

  @Test(arguments: ["", "0", "-5m", "30x", "m", "5m3", "1e400h", "h5", "nan", "inf", "1..5m"])
  func whatIsNoTimeIsRefused(_ text: String) { #expect(TimeSpan(argument: text) == nil) }

  @Test(arguments: [("0.5", 0.5), ("50%", 0.5), ("50 %", 0.5), ("12.5%", 0.125), ("1", 1)])
  func sharesAreUnderstood(_ text: String, _ share: Double) {
    #expect(Share(argument: text)?.value == share)
  }

  @Test(arguments: ["", "%", "half", "5%0"])
  func whatIsNoShareIsRefused(_ text: String) { #expect(Share(argument: text) == nil) }
}

@Suite struct ConfigurationFileTests {
  private func expanded(_ yaml: String, _ arguments: String...) throws -> [String] {
    var result: [String] = []
    try withFolder { folder in
      let file = folder.appending(path: "nap.yaml")
      try Data(yaml.utf8).write(to: file)
      result = try ConfigurationFile.expanded(arguments + ["--config", file.path])
    }
    return result
  }

  @Test func settingsComeFromAFile() throws {
    let yaml = """
      model: m.onnx
      macs: 0.5
      data: /some where
      freeze: [a, b]
      quiet: true
      json: false
      restore-normalization: no
      """
    #expect(
      try expanded(yaml, "prune", "-o", "out.onnx") == [
        "prune", "m.onnx", "--macs=0.5", "--data=/some where", "--freeze=a", "--freeze=b",
        "--quiet",
        "--no-restore-normalization", "-o", "out.onnx",
      ])
    // What is given wins.
    #expect(
      try expanded("macs: 0.5\noutput: x.onnx", "prune", "mine.onnx", "-o", "y.onnx", "--macs=0.7")
        == ["prune", "mine.onnx", "-o", "y.onnx", "--macs=0.7"])
    #expect(try expanded("", "prune", "m.onnx") == ["prune", "m.onnx"])
  }

  @Test(arguments: [
    ("mac: 0.5", "there is no option 'mac'; did you mean macs?"), ("- a", "does not hold options"),
    ("macs: [0.5, 0.7]", "a value that it cannot have"), ("quiet: 7", "write true or false"),
    ("a: [", "is not valid YAML"), ("macs: {a: b}", "a value that it cannot have"),
    ("config: x", "there is no option 'config'"),
  ]) func whatDoesNotFitIsSaid(_ yaml: String, _ sentence: String) throws {
    do {
      _ = try expanded(yaml, "prune", "m.onnx")
      Issue.record("\(yaml) was taken")
    } catch let error as UsageError {
      #expect(error.description.contains(sentence), "\(error.description)")
    }
  }

  /// Files with bytes that have changed are taken, or refused with a sentence.
  @Test func noSettingsTrap() throws {
    let seeds = [
      "model: m.onnx\nmacs: 0.5\nfreeze: [a, b]\nquiet: true\n# and\nseed: 7\n",
      "? [a, b]\n: &x {data: 'y', <<: *x}\n", "--- !!map\nmacs: >\n  0.5\nfreeze:\n- |\n  a\n...\n",
    ].map { Array($0.utf8) }
    let bytes = Array("[]{}:,&*!|>'\"%@`#?-~\n\t \\0a".utf8) + [0, 0x80, 0xc3, 0xff]
    var random = Seed(6).generator()
    for _ in 0..<300 {
      var text = seeds.randomElement(using: &random) ?? []
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let place = Int.random(in: 0..<text.count, using: &random)
        let byte = bytes.randomElement(using: &random) ?? 0
        if Bool.random(using: &random) { text[place] = byte } else { text.insert(byte, at: place) }
      }
      try withFolder { folder in
        let file = folder.appending(path: "nap.yaml")
        try Data(text).write(to: file)
        do {
          _ = try ConfigurationFile.expanded(["prune", "m.onnx", "--config", file.path])
        } catch let error as UsageError {
          #expect(!error.problem.isEmpty)
        }
      }
    }
  }

  /// What is printed is a file that means the same.
  @Test func whatIsPrintedCanBeRead() throws {
    let text = try #require(
      try ConfigurationFile.printed([
        "prune", "m.onnx", "-o", "a b.onnx", "--macs", "50%", "--freeze", "x: y", "--freeze", "z",
        "--print-config",
      ]))
    #expect(text.contains("criterion: nap") && text.contains("seed: 0"), "\(text)")
    let again = try expanded(text, "prune")
    for argument in ["m.onnx", "--output=a b.onnx", "--macs=50%", "--freeze=x: y", "--freeze=z"] {
      #expect(again.contains(argument), "\(again)")
    }
    _ = try Nap.parseAsRoot(again)
  }
}
