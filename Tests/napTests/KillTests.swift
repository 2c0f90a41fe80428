import Foundation
import NapTensor
import NapTestSupport
import Testing

/// Jobs that are killed at any moment and go on end as if nothing had happened.
///
/// `NAP_KILLS` says how many jobs are killed, `NAP_KILL_SEED` when; `scripts/kill-test` sets both.
@Suite(.serialized) struct KillTests {
  /// A kind of job: its arguments, and what it writes.
  struct Job: CustomStringConvertible {
    var arguments: [String]
    var outputs = ["out.onnx"]
    /// Whether its length is given in epochs, so that bytes can be told.
    var isExact = true
    var description: String { arguments.joined(separator: " ") }

    /// What it has written, one after another.
    func written(in folder: URL) throws -> Data {
      try outputs.reduce(into: Data()) { $0 += try Data(contentsOf: folder.appending(path: $1)) }
    }
  }

  static let jobs: [Job] = {
    let data = ["--data", "data", "--preset", "mnist", "--seed", "3", "--quiet"]
    func prune(_ arguments: String...) -> [String] {
      ["prune", "model.onnx", "-o", "out.onnx"] + data + arguments
    }
    return [
      Job(arguments: ["train", "resnet8", "-o", "out.onnx", "--epochs", "3"] + data),
      Job(
        arguments: prune("--macs", "0.5", "--epochs", "3", "--rounds", "2", "--kept", "kept.json"),
        outputs: ["out.onnx", "kept.json"]),
      Job(
        arguments: prune(
          "--macs", "0.5", "--epochs", "1", "--allocator", "metapruning:shared", "--candidates",
          "60")),
      Job(arguments: prune("--max-drop", "5", "--epochs", "4")),
      Job(arguments: prune("--dynamic", "--macs", "0.5", "--epochs", "1", "--rounds", "1")),
      Job(
        arguments: prune(
          "--dynamic", "--gates", "channels", "--macs", "0.6", "--epochs", "2", "--rounds", "1")),
      Job(arguments: prune("--granularity", "weights", "--sparsity", "0.7", "--epochs", "3")),
      Job(
        arguments: [
          "prune", "model.onnx", "-o", "out.onnx", "--data", "images.npy", "--preset", "plain",
          "--macs", "0.6", "--epochs", "2", "--quiet",
        ]),
      Job(arguments: prune("--macs", "0.6", "--time", "4s"), isExact: false),
      Job(
        arguments: [
          "compare", "model.onnx", "--criteria", "nap,l1", "--macs", "0.7,0.5", "--plot", "out.svg",
        ] + data, outputs: ["out.svg"]),
    ]
  }()

  /// Training and test images, a class the brightness of one quarter; the same without labels; a network that
  /// has learned something.
  static func prepare(_ folder: URL) throws {
    var random = Seed(5).generator()
    func images(_ count: Int) -> (pixels: [UInt8], labels: [UInt8]) {
      var (pixels, labels) = ([UInt8](), [UInt8]())
      for _ in 0..<count {
        let label = Int(random.next() % 4)
        labels.append(UInt8(label))
        for i in 0..<144 {
          let quarter = (i / 12 / 6) * 2 + i % 12 / 6
          pixels.append(UInt8(random.next() % 120) + (quarter == label ? 60 : 0))
        }
      }
      return (pixels, labels)
    }
    let data = folder.appending(path: "data")
    try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
    func big(_ number: Int) -> [UInt8] { [0, 0, UInt8(number >> 8), UInt8(number & 255)] }
    for (name, count) in [("train", 600), ("t10k", 200)] {
      let (pixels, labels) = images(count)
      try Data([0, 0, 8, 3] + big(count) + big(12) + big(12) + pixels)
        .write(to: data.appending(path: "\(name)-images-idx3-ubyte"))
      try Data([0, 0, 8, 1] + big(count) + labels)
        .write(to: data.appending(path: "\(name)-labels-idx1-ubyte"))
    }
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (200, 1, 12, 12), }\n"
    try
      (Data([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0])
      + Data(header.utf8) + Data(images(200).pixels))
      .write(to: folder.appending(path: "images.npy"))
    let trained = try Program.run(
      ["train", "resnet8", "-o", "model.onnx", "--no-run", "--epochs", "4"]
        + ["--data", "data", "--preset", "mnist", "--quiet"], shell: inside(folder))
    #expect(trained.status == 0, "\(trained)")
  }

  /// Saves as often as it can.
  private static func inside(_ folder: URL, _ more: String = "") -> String {
    "cd '\(folder.path)' && export NAP_CHECKPOINT_SECONDS=0.01 \(more); exec \"$@\""
  }

  /// Files with a dot, and folders of runs.
  private func contents(_ folder: URL) throws -> Set<String> {
    Set(try FileManager.default.subpathsOfDirectory(atPath: folder.path))
  }

  /// Runs a job in a folder with the model and the data, killed some times after a random part of a time.
  private func run(
    _ job: Job, in folder: URL, kills: Int, within seconds: Double, _ random: inout SplitMix64
  ) throws {
    for kill in 0...kills {
      let began = FileManager.default.fileExists(
        atPath: folder.appending(path: "out.run/job.json").path)
      let arguments = began ? ["resume", "out.run"] : job.arguments + ["--run", "out.run"]
      if kill == kills {
        let result = try Program.run(arguments, shell: Self.inside(folder))
        #expect(result.status == 0, "\(job), killed \(kills) times: \(result.errors)")
      } else {
        let (process, _, errors) = Program.start(arguments, shell: Self.inside(folder))
        try process.run()
        Thread.sleep(forTimeInterval: seconds * Double(random.uniform()))
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        let words = String(
          decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(
          process.terminationReason == .uncaughtSignal || process.terminationStatus == 0,
          "\(job) failed where it was killed: \(words)")
      }
    }
  }

  @Test func killedJobsEndAsIfNothingHadHappened() throws {
    let environment = ProcessInfo.processInfo.environment
    let count = environment["NAP_KILLS"].flatMap(Int.init) ?? 20
    let seed = environment["NAP_KILL_SEED"].flatMap(UInt64.init) ?? 1
    var random = Seed(seed).generator()
    try withFolder { folder in
      let start = folder.appending(path: "start")
      try FileManager.default.createDirectory(at: start, withIntermediateDirectories: true)
      try Self.prepare(start)
      var undisturbed: [Int: (bytes: Data, seconds: Double, files: Set<String>)] = [:]
      var killed = 0
      for number in 0..<count {
        let index = number % Self.jobs.count
        let job = Self.jobs[index]
        func fresh(_ name: String) throws -> URL {
          let place = folder.appending(path: name)
          try FileManager.default.copyItem(at: start, to: place)
          return place
        }
        if undisturbed[index] == nil {
          let place = try fresh("undisturbed\(index)")
          let began = Date()
          let result = try Program.run(
            job.arguments + ["--run", "out.run"], shell: Self.inside(place))
          try #require(result.status == 0, "\(job): \(result.errors)")
          undisturbed[index] = (
            try job.written(in: place),
            Date().timeIntervalSince(began),
            try contents(place)
          )
        }
        let expected = try #require(undisturbed[index])
        let place = try fresh("killed")
        defer { try? FileManager.default.removeItem(at: place) }
        try run(
          job, in: place, kills: 1 + number % 3, within: 1.1 * expected.seconds, &random)
        killed += 1
        let bytes = try job.written(in: place)
        if job.isExact {
          #expect(bytes == expected.bytes, "\(job): job \(number) of seed \(seed) ends otherwise")
          let litter = try contents(place).symmetricDifference(expected.files)
          #expect(litter.isEmpty, "\(job): job \(number) of seed \(seed)")
        } else {
          let report = try String(
            contentsOf: place.appending(path: "out.run/report.json"), encoding: .utf8)
          #expect(report.contains("\"verified\" : true"), "\(report)")
        }
      }
      print("\(killed) jobs were killed, and went on")
    }
  }
}
