import Foundation
import NapGraph
import NapKit
import NapTensor
import NapTestSupport
import Testing

/// The program as a user meets it: exit status, sentences, and what is left on the disk.
@Suite(.serialized) struct CommandTests {
  private func nap(_ arguments: String...) throws -> Program.Result { try run(arguments) }

  private func run(_ arguments: [String]) throws -> Program.Result { try Program.run(arguments) }

  @Test func helpAndVersionSucceed() throws {
    for arguments in ["--help", "--version"] { #expect(try nap(arguments).status == 0) }
    let version = try nap("--version").output
    #expect(version.hasPrefix("nap \(Runtime.version)") && version.contains("oneDNN "))
    let help = try nap("prune", "--help")
    #expect(help.status == 0 && help.output.contains("--max-drop"))
    #expect(try nap("operators").output.contains("BatchNormalization"))
  }

  /// Told by the option, by the environment, and by the limits of the process; said in every report.
  @Test func threadsAreTakenAsAsked() throws {
    try withFolder { folder in
      let model = try model(folder)
      func threads(_ arguments: [String], _ shell: String) throws -> Int? {
        let result = try Program.run(
          ["eval", model, "--data", "synthetic", "--preset", "synthetic", "--json"] + arguments,
          shell: shell)
        let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        return (object as? [String: Any])?["threads"] as? Int
      }
      let plain = "unset OMP_NUM_THREADS; exec \"$@\""
      #expect(try threads(["--threads", "3"], plain) == 3)
      #expect(try threads([], "OMP_NUM_THREADS=2,1 exec \"$@\"") == 2)
      #expect(try threads([], "unset OMP_NUM_THREADS; exec taskset -c 0 \"$@\"") == 1)
      for count in ["0", "1025", "many"] {
        let refused = try nap(
          "eval", model, "--data", "synthetic", "--preset", "synthetic", "--threads", count)
        #expect(refused.status == 2 && refused.errors.contains("--threads"), "\(refused)")
      }
    }
  }

  @Test func aSoundMachineIsWell() throws {
    let result = try nap("doctor", "--quiet")
    #expect(result.status == 0, "\(result)")
    for part in ["oneDNN", "gradients", "images/s trained", "Nothing is wrong"] {
      #expect(result.output.contains(part), "\(result.output)")
    }
    let wrong = try Program.run(["doctor", "-q"], shell: "NAP_DATA=/nowhere exec \"$@\"")
    #expect(wrong.status == 1 && wrong.output.contains("NAP_DATA names '/nowhere'"))
  }

  @Test func wrongUsageIsExitTwo() throws {
    try withFolder { folder in
      let model = try model(folder)
      let out = folder.appending(path: "out.onnx").path
      for (arguments, sentence) in [
        (["--macs", "1.5"], "--macs 1.5 does not lie between 0 and 1"),
        (
          ["--macs", "0.5", "--params", "0.5"],
          "give only one of --macs, --params, --latency, --sparsity and --max-drop"
        ),
        (["--sparsity", "0.9"], "--sparsity needs --granularity weights"),
        (["--granularity", "2:4", "--sparsity", "0.9"], "says itself how much is removed"),
        (["--granularity", "4:2"], "is invalid for '--granularity"),
        (["--granularity", "1:63"], "no layer has a multiple of 63 input channels"),
        (["--time", "30x"], "is invalid for '--time"),
        (["--time", "30m", "--epochs", "2"], "give either --epochs or --time"),
        (["--round", "0"], "--round 0 does not lie between 1 and 1024"),
        (["--latency-table", "t.csv"], "--latency-table needs --latency"),
        (
          ["--granularity", "weights", "--sparsity", "0.5", "--criterion", "gate", "--quiet"],
          "scores whole channels, not single weights"
        ),
        (["--criterion", "luck"], "there is no criterion 'luck'"),
        (["--preset", "nothing", "--macs", "0.5"], "there is no preset 'nothing'"),
        (
          [
            "--macs", "0.000001", "--preset", "synthetic", "--epochs", "0", "--quiet",
            "--allow-chance",
          ],
          "is impossible"
        ),
        (["--no-such-option"], "Unknown option"),
      ] {
        let process = try run(["prune", model, "--data", "synthetic", "-o", out] + arguments)
        #expect(process.status == 2, "\(arguments)")
        #expect(process.errors.contains(sentence), "\(process.errors)")
        #expect(!FileManager.default.fileExists(atPath: out))
      }
      #expect(try nap("eval", model).status == 2)
      for arguments in [
        ["pick", folder.path], ["compare", model, "--data", "synthetic", "--criteria", "luck"],
        ["sensitivity", model, "--data", "synthetic", "--channels-per-set", "0"],
      ] {
        #expect(try run(arguments).status == 2, "\(arguments)")
      }
    }
  }

  /// Under `ulimit -v` too, where what is refused cannot be gone on from.
  @Test(.enabled(if: Program.canBeLimited)) func memoryIsAskedForBeforeItIsTaken() throws {
    try withFolder { folder in
      let model = try model(folder, "resnet20")
      for mode in ["inference", "training", "curvature"] {
        let process = try Program.run(
          ["profile", model, "--time", mode, "--batch-size", "65536"],
          shell: "ulimit -v 4000000; exec \"$@\"")
        let words = process.errors
        #expect(process.status == 1, "\(words)")
        #expect(words.contains("GiB are free; give a smaller --batch-size"), "\(words)")
      }
    }
  }

  /// Every network on the way is there afterwards, and a directory is used once.
  @Test func aRunLeavesNetworksToPickFrom() throws {
    try withFolder { folder in
      let model = try model(folder, "resnet8")
      let (night, out) = (
        folder.appending(path: "night").path, folder.appending(path: "out.onnx").path
      )
      let arguments = [
        "prune", model, "--data", "synthetic", "--preset", "synthetic", "-o", out, "--run", night,
        "--max-drop", "100", "--epochs", "0", "--curvature-images", "64", "--quiet",
        "--kept", folder.appending(path: "kept.json").path,
        "--allow-chance",
      ]
      #expect(try run(arguments).status == 0)
      let list = try nap("pick", night, "--json")
      #expect(list.status == 0 && list.output.contains("\"macs\""))
      let another = folder.appending(path: "another.onnx").path
      let said = folder.appending(path: "another.json").path
      #expect(
        try nap("pick", night, "--macs", "0.9", "-o", another, "--kept", said).status == 0)
      let network = try Network(contentsOf: another)
      try expectSays(said, what: network)
      try expectSays(folder.appending(path: "kept.json").path, what: Network(contentsOf: out))
      #expect(Double(network.macs) <= 0.9 * Double(try Network(contentsOf: model).macs))
      #expect(try nap("pick", night, "--macs", "0.00001", "-o", another).status == 1)
      #expect(try run(arguments).status == 2)
    }
  }

  /// Checks that a file tells the sizes of what stayed in a network.
  private func expectSays(_ file: String, what network: Network) throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: file))
    let kept = try JSONDecoder().decode(KeptIndices.self, from: data)
    #expect(!kept.parameters.isEmpty)
    for (value, tensor) in network.graph.constants {
      for (axis, indices) in kept.parameters[network.graph.name(of: value)]?.kept ?? [:] {
        #expect(tensor.shape[axis] == indices.count)
      }
    }
  }

  /// Before any work is done.
  @Test func whatStayedNeedsAName() throws {
    try withFolder { folder in
      let model = try model(folder)
      let out = folder.appending(path: "out.onnx").path
      for (kept, more, sentence) in [
        ("kept.txt", [], "ends in .json or .safetensors"),
        ("kept.json", ["--granularity", "2:4"], "ends in .safetensors"),
        ("kept.json", ["-o", "\(folder.path)/kept.json"], "-o and --kept are the same place"),
      ] {
        let result = try Program.run(
          ["prune", model, "--data", "synthetic", "-o", out]
            + ["--kept", "\(folder.path)/\(kept)"] + more)
        #expect(result.status == 2 && result.errors.contains(sentence), "\(result.errors)")
      }
    }
  }

  @Test func brokenFilesAreExitOneAndNamed() throws {
    try withFolder { folder in
      let model = try model(folder)
      let bytes = try Data(contentsOf: URL(fileURLWithPath: model))
      let truncated = folder.appending(path: "truncated.onnx")
      try bytes.prefix(bytes.count / 2).write(to: truncated)
      let text = folder.appending(path: "text.onnx")
      try Data("this is not a network".utf8).write(to: text)
      for (file, sentence) in [
        ("/nowhere.onnx", "there is no file '/nowhere.onnx'"),
        (truncated.path, "'\(truncated.path)' is not a valid ONNX file"),
        (text.path, "'\(text.path)' is not a valid ONNX file"),
      ] {
        let result = try nap("eval", file, "--data", "synthetic", "--preset", "synthetic")
        #expect(result.status == 1)
        #expect(result.errors.contains(sentence), "\(result.errors)")
        #expect(result.errors.split(separator: "\n").count == 1)
      }
      let nowhere = try nap("eval", model, "--data", "/nowhere")
      #expect(
        nowhere.status == 1 && nowhere.errors.contains("the data '/nowhere' do not exist"))
      let out = try nap("train", "mlp", "--data", "synthetic", "-o", "/nowhere/out.onnx")
      #expect(
        out.status == 1 && out.errors.contains("'/nowhere/out.onnx': the folder does not exist"))
      let unknown = try nap("train", "vgg", "--data", "synthetic", "-o", model)
      #expect(unknown.status == 2 && unknown.errors.contains("or one of resnet8, resnet20"))
      let same = try nap("prune", model, "--data", "synthetic", "-o", model)
      #expect(same.status == 1 && same.errors.contains("which is read; give another name"))
    }
  }

  /// Every command that reads a network takes sizes; what it advises works in it.
  @Test func sizesThatNobodyTellsAreAskedFor() throws {
    try withFolder { folder in
      for set in ["train", "test"] {
        for name in ["a", "b", "c"] {
          let images = folder.appending(path: "images/\(set)/\(name)")
          try FileManager.default.createDirectory(at: images, withIntermediateDirectories: true)
          for n in 0..<6 { try Self.png.write(to: images.appending(path: "\(n).png")) }
        }
      }
      let model = folder.appending(path: "model.onnx").path
      try Network(SmallNetwork.anySize.graph).write(to: model)
      let out = folder.appending(path: "out.onnx").path
      let data = ["--data", folder.appending(path: "images").path, "--preset", "plain"]
      // Run directories are made there.
      let inside = "cd '\(folder.path)' && exec \"$@\""
      for command in [
        ["profile", model], ["eval", model] + data,
        ["prune", model, "-o", out, "--macs", "0.9", "--epochs", "0", "--quiet"] + data,
        ["train", model, "-o", out, "--epochs", "1", "--batch-size", "6", "--quiet"] + data,
        ["compare", model, "--criteria", "l1", "--macs", "0.9", "--quiet"] + data,
        ["sensitivity", model, "--criteria", "l1", "--channels-per-set", "1", "--quiet"] + data,
      ] {
        #expect(try nap("help", command[0]).output.contains("--input-shape"))
        let refused = try Program.run(command, shell: inside)
        #expect(refused.status == 1, "\(command)")
        let advice = "--input-shape x=1x3x224x224"
        #expect(refused.errors.hasSuffix("\(advice)\n"), "\(refused.errors)")
        let result = try Program.run(
          command + advice.split(separator: " ").map(String.init), shell: inside)
        #expect(result.status == 0, "\(command) \(result.errors)")
      }
      #expect(try nap("help", "run").output.contains("--input-shape"))
    }
  }

  /// 2 x 2 pixels.
  private static let png =
    Data(
      base64Encoded:
        "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEklEQVR4nGP4z8DAAMIM/4EAAB/uBfsL2WiLAAAAAElFTkSuQmCC"
    ) ?? Data()

  @Test func standardOutputIsOneJSONObject() throws {
    try withFolder { folder in
      let model = try model(folder)
      let result = try nap("eval", model, "--data", "synthetic", "--preset", "synthetic", "--json")
      #expect(result.status == 0)
      let object =
        try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
      #expect(
        Set(try #require(object).keys)
          == [
            "accuracy", "loss", "count", "images_per_second", "measure", "metrics", "outputs",
            "nap",
            "threads", "date", "command", "settings",
          ])
      let settings = try #require(object?["settings"] as? [String: String])
      #expect(settings["model"] == model && settings["preset"] == "synthetic", "\(settings)")
      let profile = try nap("profile", model, "--json")
      let keys = try JSONSerialization.jsonObject(with: Data(profile.output.utf8)) as? [String: Any]
      #expect(Set(try #require(keys).keys) == ["parameters", "macs", "layers", "units", "frozen"])
    }
  }
}
