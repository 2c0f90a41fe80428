import Foundation
import NapTestSupport
import Testing

/// The same job writes the same bytes every time, for each precision and number of threads.
///
/// `NAP_RUNS` says how often a job is run; `scripts/determinism` sets it.
@Suite(.serialized) struct DeterminismTests {
  private static let jobs = [
    ["train", "resnet8", "--epochs", "1"],
    ["prune", "model.onnx", "--macs", "0.5", "--epochs", "1"],
    [
      "prune", "model.onnx", "--granularity", "weights", "--sparsity", "0.6", "--epochs", "1",
    ],
  ]

  @Test(arguments: computablePrecisions, [1, 2])
  func jobsWriteTheSameBytes(_ precision: String, _ threads: Int) throws {
    let asked = ProcessInfo.processInfo.environment["NAP_RUNS"].flatMap(Int.init)
    let runs = asked ?? 2
    // One thread waits for nobody; it is run where that is asked for.
    guard asked != nil || threads > 1 else { return }
    try withFolder { folder in
      try KillTests.prepare(folder)
      for job in Self.jobs {
        var first: Data?
        for run in 1...max(2, runs) {
          let result = try Program.run(
            job + [
              "-o", "out.onnx", "--no-run", "--data", "data", "--preset", "mnist", "--quiet",
              "--precision", precision, "--threads", String(threads),
            ], shell: "cd '\(folder.path)' && exec \"$@\"")
          try #require(result.status == 0, "\(job): \(result.errors)")
          let bytes = try Data(contentsOf: folder.appending(path: "out.onnx"))
          let expected = first ?? bytes
          first = expected
          try #require(bytes == expected, "\(job), \(precision), \(threads) threads, run \(run)")
        }
        print("\(job[0]), \(precision), \(threads) threads: \(max(2, runs)) runs are the same")
      }
    }
  }
}
