import Foundation
import NapGraph
import NapOperators
import NapReport
import NapTensor
import NapTestSupport
import Testing

@testable import NapKit

/// What keeps a job that is stopped.
@Suite struct JobTests {
  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
  }

  @Test func hashesAreThoseOfSha256sum() {
    for (text, digits) in [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
      (
        String(repeating: "a", count: 1_000_000),
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
      ),
    ] {
      var whole = SHA256()
      whole.add(text.utf8)
      #expect(whole.digits == digits)
      var parts = SHA256()
      for start in stride(from: 0, to: text.utf8.count, by: 100_003) {
        parts.add(Array(text.utf8).dropFirst(start).prefix(100_003))
      }
      #expect(parts.digits == digits)
    }
  }

  /// Every kind of network, with the very bits of its numbers.
  @Test func networksComeBackAsTheyWere() throws {
    try withFolder { folder in
      for (name, network) in SmallNetwork.all + SmallNetwork.reshaping {
        var graph = network.graph
        graph.frozenNodes = [graph.nodes[0].name]
        graph.metadata = [("a", "b"), ("c", "")]
        let odd = graph.addConstant(
          "odd", Tensor(shape: [3], floats: [.nan, -0, .leastNonzeroMagnitude]))
        let file = "\(folder)/\(name)"
        try Checkpoint.write([graph], to: file)
        let again = try #require(
          Checkpoint.read([NapGraph.Graph].self, from: file)?.first, "\(name)")
        #expect("\(again.nodes)" == "\(graph.nodes)" && again.inputs == graph.inputs)
        #expect(again.outputs == graph.outputs && again.valueNames == graph.valueNames)
        #expect(again.frozenNodes == graph.frozenNodes && again.metadata.map(\.key) == ["a", "c"])
        #expect(
          again.constants[odd]?.floats.map(\.bitPattern)
            == graph.constants[odd]?.floats.map(\.bitPattern))
        var (a, b) = (again, graph)
        (a.constants[odd], b.constants[odd]) = (nil, nil)
        #expect(a.constants == b.constants, "\(name)")
      }
    }
  }

  /// Cut off anywhere, or with a bit that has changed, a file is known for broken.
  @Test func brokenCheckpointsAreNoticed() throws {
    try withFolder { folder in
      let file = "\(folder)/checkpoint"
      let value = ["numbers": (0..<40).map { Double($0) / 7 }]
      try Checkpoint.write(value, to: file)
      #expect(Checkpoint.read([String: [Double]].self, from: file) == value)
      let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
      for number in 0..<100 {
        let broken = URL(fileURLWithPath: "\(folder)/broken")
        try bytes.prefix(bytes.count * number / 100).write(to: broken)
        #expect(Checkpoint.read([String: [Double]].self, from: broken.path) == nil)
        var changed = bytes
        changed[bytes.count * number / 100] ^= 1 << (number % 8)
        try changed.write(to: broken)
        #expect(Checkpoint.read([String: [Double]].self, from: broken.path) == nil)
      }
    }
  }

  /// Foundation's decoder traps on a size that fits into no `Int`.
  @Test func sizesBeyondTheFileAreNoSizes() throws {
    try withFolder { folder in
      let encoder = PropertyListEncoder()
      encoder.outputFormat = .binary
      let value = ["a": Array(0..<300), "ä": []]
      let content = try encoder.encode(value)
      #expect(BinaryPropertyList.isSound(content))
      let path = "\(folder)/checkpoint"
      for place in content.indices {
        for byte in [0, 0x0F, 0x4F, 0xAF, 0xCF, 0xDF, 0xFF] as [UInt8] {
          var changed = content
          changed[place] = byte
          try (Checkpoint.seal(of: changed) + changed).write(to: URL(fileURLWithPath: path))
          _ = Checkpoint.read([String: [Int]].self, from: path)
        }
      }
      for length in content.indices {
        #expect(!BinaryPropertyList.isSound(content.prefix(length)))
      }
    }
  }

  /// A job of steps in steps and of a loop, that counts what it does.
  private func job(
    _ journal: Journal, stoppingAt stop: Int = .max, done: inout [String]
  ) throws -> [Int] {
    struct Stop: Error {}
    var log: [String] = []
    defer { done = log }
    func work(_ name: String) throws {
      if log.count == stop { throw Stop() }
      log.append(name)
    }
    let first = try journal.step("first") {
      let inner = try journal.step("inner") {
        try work("inner")
        return 1
      }
      try work("first")
      return inner + 1
    }
    let sum = try journal.step("loop", saving: [Int].self) { loop in
      var sum = loop.restored ?? []
      while sum.count < 5 {
        if sum.count == 2 {
          sum.append(
            try journal.step("inside") {
              try work("inside")
              return 10
            })
        } else {
          try work("turn \(sum.count)")
          sum.append(sum.count)
        }
        try loop.end(sum) { if log.count == stop { throw Stop() } }
      }
      return sum
    }
    return [first] + sum
  }

  /// Stopped anywhere, again and again, a job gives what it gives undisturbed; nothing that was kept is done
  /// again.
  @Test func jobsGoOnWhereTheyWere() throws {
    var whole: [String] = []
    let expected = try job(Journal(), done: &whole)
    for stop in 0...whole.count {
      try withFolder { folder in
        var (first, second): ([String], [String]) = ([], [])
        _ = try? job(Journal(in: folder), stoppingAt: stop, done: &first)
        let result = try job(Journal(in: folder), done: &second)
        #expect(result == expected)
        #expect(first + second == whole, "stopped at \(stop)")
        // Only the two outer steps are still kept.
        #expect(
          try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == [
            "1.step", "2.step",
          ])
      }
    }
  }

  /// A state is a copy of all weights: it is not made where nothing is kept.
  @Test func nothingIsCopiedWhereNothingIsKept() throws {
    var copies = 0
    func state() -> Int {
      copies += 1
      return copies
    }
    struct Stop: Error {}
    #expect(throws: Stop.self) {
      try Journal().step("loop", saving: Int.self) { loop in
        try loop.end(state())
        try loop.end(state()) { throw Stop() }
        return 0
      }
    }
    #expect(copies == 0)
  }

  @Test func whatIsBrokenIsDoneAgain() throws {
    try withFolder { folder in
      var done: [String] = []
      _ = try? job(Journal(in: folder), stoppingAt: 5, done: &done)
      let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      #expect(files.contains { $0.hasPrefix("2.loop") })
      for file in files {
        let path = URL(fileURLWithPath: "\(folder)/\(file)")
        let bytes = try Data(contentsOf: path)
        try bytes.dropLast(3).write(to: path)
        let expected = try job(Journal(), done: &done)
        let result = try job(Journal(in: folder), done: &done)
        #expect(result == expected, "\(file)")
        for file in try FileManager.default.contentsOfDirectory(atPath: folder) {
          try FileManager.default.removeItem(atPath: "\(folder)/\(file)")
        }
        _ = try? job(Journal(in: folder), stoppingAt: 5, done: &done)
      }
    }
  }

  /// Where a job takes another way than before, nothing of the old way is taken for what it does now.
  @Test func anotherWayIsGoneAnew() throws {
    try withFolder { folder in
      func job(_ names: [String], _ value: Int) throws -> [Int] {
        let journal = try Journal(in: folder)
        return try names.map { name in try journal.step(name) { value } }
      }
      let first = try job(["a", "b", "c", "d"], 1)
      let second = try job(["a", "x", "c", "d"], 2)
      let third = try job(["a", "x", "c"], 3)
      #expect(first == [1, 1, 1, 1] && second == [1, 2, 2, 2] && third == [1, 2, 2])
    }
  }

  /// The clock of a job goes on from what it was when it was stopped.
  @Test func timeSpentCounts() throws {
    try withFolder { folder in
      let first = try Journal(in: folder)
      _ = try first.step("work") {
        Thread.sleep(forTimeInterval: 0.2)
        return 1
      }
      let second = try Journal(in: folder)
      let seconds = try second.timed { _ = try second.step("work") { 2 } }
      #expect(seconds > 0.19 && second.elapsed >= 0.2)
    }
  }

  @Test func aDirectoryIsForOneJob() throws {
    try withFolder { folder in
      let path = "\(folder)/run"
      var run: RunDirectory? = try RunDirectory(creating: path)
      #expect(throws: UsageError.self) { try RunDirectory(creating: path) }
      #expect(throws: UsageError.self) { try RunDirectory(resuming: path) }
      run = nil
      run = try RunDirectory(resuming: path)
      #expect(run?.job?.isDone == false)
      run = nil
      // It has hardly begun: another may stand in its place.
      run = try RunDirectory(creating: path)
      run?.finish(ComparisonReport(accuracyBefore: 0, curves: []))
      run = nil
      #expect(throws: UsageError.self) { try RunDirectory(resuming: path) }
      #expect(throws: UsageError.self) { try RunDirectory(creating: path) }
      run = try RunDirectory(creating: path, replacing: true)
      run = nil
      try Data().write(to: URL(fileURLWithPath: "\(path)/thesis.tex"))
      #expect(throws: UsageError.self) { try RunDirectory(creating: path, replacing: true) }
      #expect(FileManager.default.fileExists(atPath: "\(path)/thesis.tex"))
      #expect(run == nil)
    }
  }

  /// A pipe would have the job wait for somebody to read it.
  @Test(arguments: ["log.txt", "metrics.jsonl", "journal"])
  func pipesAmongItsFilesAreRefused(_ name: String) throws {
    try withFolder { folder in
      let path = "\(folder)/run"
      do { _ = try RunDirectory(creating: path) }
      try FileManager.default.removeItem(atPath: "\(path)/\(name)")
      #expect(mkfifo("\(path)/\(name)", 0o600) == 0)
      do {
        _ = try RunDirectory(resuming: path)
        Issue.record("\(name) was taken")
      } catch {
        let problem = (error as? FileError)?.problem ?? SystemError(error)?.problem
        #expect(problem?.contains("'\(path)/\(name)': ") ?? false, "\(error)")
      }
    }
  }

  /// Neither does what a job reads have it wait.
  @Test func pipesAmongInputsAreNotOpened() throws {
    try withFolder { folder in
      #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
      #expect(Job(inputs: ["\(folder)/pipe", folder]).inputs[0].sha256.isEmpty)
    }
  }

  /// A job is about what it read.
  @Test func changedInputsAreRefused() throws {
    try withFolder { folder in
      let (file, path) = ("\(folder)/model.onnx", "\(folder)/run")
      try Data("a".utf8).write(to: URL(fileURLWithPath: file))
      var run: RunDirectory? = try RunDirectory(creating: path, for: Job(inputs: [file]))
      #expect(run != nil)
      run = nil
      try Data("b".utf8).write(to: URL(fileURLWithPath: file))
      #expect(throws: UsageError.self) { try RunDirectory(resuming: path) }
    }
  }

  /// Whatever a job was killed before writing, its first file tells that it is one.
  @Test func aJobIsOneFromItsFirstFileOn() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "run").path
    do { _ = try RunDirectory(creating: path, for: Job(arguments: ["prune"])) }
    for name in try FileManager.default.contentsOfDirectory(atPath: path) where name != "job.json" {
      try FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
    #expect(try RunDirectory(reading: path).entries.isEmpty)
    #expect(try RunDirectory(resuming: path).job?.arguments == ["prune"])
  }
}
