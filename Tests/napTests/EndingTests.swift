import Foundation
import Testing

/// What a job leaves at its end, or where it is stopped.
@Suite(.serialized) struct EndingTests {
  private static let data = ["--data", "data", "--preset", "mnist"]

  private func inside(_ folder: URL, _ body: String = "exec \"$@\"") -> String {
    "cd '\(folder.path)'\n\(body)"
  }

  /// The page is written where it is wanted, with and without a run directory.
  @Test func pagesAreWrittenWhereTheyAreWanted() throws {
    try withFolder { folder in
      try KillTests.prepare(folder)
      func run(_ arguments: [String]) throws -> Program.Result {
        try Program.run(arguments + Self.data, shell: inside(folder))
      }
      func text(_ name: String) -> String {
        let data = try? Data(contentsOf: folder.appending(path: name))
        return String(decoding: data ?? Data(), as: UTF8.self)
      }
      let jobs = [
        ["prune", "model.onnx", "-o", "out.onnx", "--macs", "0.7", "--epochs", "0"],
        ["train", "mlp", "-o", "mlp.onnx", "--epochs", "1"],
        ["compare", "model.onnx", "--criteria", "l1", "--macs", "0.7", "--run", "compared.run"],
        [
          "sensitivity", "model.onnx", "--criteria", "l1", "--channels-per-set", "1", "--images", "32",
          "--run", "sensitivity.run",
        ],
      ]
      for job in jobs {
        let kept = try run(job + ["--report", "kept.html"])
        #expect(kept.status == 0, "\(kept)")
        #expect(kept.errors.contains("kept: ") && kept.errors.contains("B in '"), "\(kept)")
        let name =
          job.contains("--run") ? job[job.count - 1] : job[3].replacing(".onnx", with: ".run")
        #expect(text("kept.html") == text("\(name)/report.html") && !text("kept.html").isEmpty)
        let alone = job.firstIndex(of: "--run").map { Array(job[..<$0]) } ?? job
        let without = try run(alone + ["--no-run", "--report", "alone.html"])
        #expect(without.status == 0 && !without.errors.contains("kept: "), "\(without)")
        #expect(text("alone.html").contains("--report alone.html"))
        try FileManager.default.removeItem(at: folder.appending(path: "alone.html"))
      }
      let prune = ["prune", "model.onnx", "-o", "other.onnx", "--macs", "0.7", "--epochs", "0"]
      try FileManager.default.createDirectory(
        at: folder.appending(path: "empty"), withIntermediateDirectories: false)
      for (places, status, sentence) in [
        (["--report", "other.onnx"], 2, "--report and -o are the same place"),
        (["--report", "./other.run"], 2, "--report and the run directory (--run) are the same"),
        (["--run", "other.onnx/"], 2, "-o and the run directory (--run) are the same place"),
        (["--kept", "k.json", "--report", "k.json"], 2, "--report and --kept are the same place"),
        (["--kept", "k.json", "--run", "k.json"], 2, "--kept and the run directory (--run) are"),
        (["--run", "empty", "-o", "empty/points.json"], 2, "the run directory (--run) has for itself"),
        (["--report", "model.onnx"], 1, "which is read"),
        (["--report", "nowhere/page.html"], 1, "the folder does not exist"),
      ] as [([String], Int32, String)] {
        let refused = try run(prune + places)
        #expect(refused.status == status && refused.errors.contains(sentence), "\(refused)")
        for name in ["other.run", "other.onnx", "k.json", "empty/job.json"] {
          #expect(!FileManager.default.fileExists(atPath: folder.appending(path: name).path))
        }
      }
      let own = try run(prune + ["--run", "empty", "--report", "empty/report.html"])
      #expect(own.status == 0 && !text("empty/report.html").isEmpty, "\(own)")
    }
  }

  /// What a comparison has so far is printed and drawn; then it goes on.
  @Test func comparisonsThatAreStoppedShowWhatTheyHave() throws {
    try withFolder { folder in
      try KillTests.prepare(folder)
      let stop = """
        "$@" >so-far 2>said &
        until grep -q "of the MACs:" said || ! kill -0 $!; do sleep 0.05; done
        kill -INT $!; wait $!; echo "status $?"
        cat so-far; cat said >&2; cp curves.svg so-far.svg
        "$1" resume compared.run
        """
      let result = try Program.run(
        [
          "compare", "model.onnx", "--criteria", "nap,taylor,l1", "--macs", "0.7,0.5", "--epochs",
          "1", "--plot", "curves.svg", "--run", "compared.run",
        ] + Self.data, shell: inside(folder, stop))
      let parts = result.output.components(separatedBy: "the original: ")
      #expect(result.status == 0 && parts.count == 3, "\(result)")
      #expect(result.output.contains("status 130"), "\(result)")
      #expect(parts.count > 1 && parts[1].contains("stopped: "), "\(result)")
      #expect(result.errors.contains("go on with: nap resume compared.run"), "\(result)")
      #expect(parts.last?.contains("stopped") == false && parts[1].contains("l1"), "\(result)")
      let drawn = try ["so-far.svg", "curves.svg"].map {
        try String(contentsOf: folder.appending(path: $0), encoding: .utf8)
      }
      #expect(drawn.allSatisfy { $0.hasPrefix("<svg") || $0.contains("<svg") })
      #expect(!drawn[0].contains(">l1<") && drawn[1].contains(">l1<"), "\(drawn)")
    }
  }
}
