import Foundation
import NapData
import NapOperators
import NapOutputs
import NapTensor
import NapTestSupport
import Testing

@testable import NapKit

/// Who says how images become numbers, and whether that is believed.
@Suite struct PreparationTests {
  private func withBytes(_ body: (_ path: String) throws -> Void) throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "images.npy").path
    let bytes = (0..<4 * 12).map { Int64($0) }
    try NumPyFile.write(Tensor(shape: [4, 3, 2, 2], integers: bytes), to: path)
    try body(path)
  }

  @Test func nothingIsTakenSilently() throws {
    try withBytes { path in
      let error = #expect(throws: UsageError.self) { try DataSource(path: path, .init()) }
      for preset in Preset.all { #expect(error?.recovery?.contains(preset.name) == true) }
      var choices = DataSource.Choices()
      choices.scale = 1
      choices.mean = [103.939, 116.779, 123.68]
      let source = try DataSource(path: path, choices)
      #expect(source.preset.mean == choices.mean && source.preset.scale == 1)
    }
    let synthetic = try DataSource(path: "synthetic", .init())
    #expect(synthetic.preset.name == "synthetic" && synthetic.origin == "by the data's kind")
  }

  /// What nap writes into a network's file is what it takes the next time; options come first.
  @Test func networksTellTheirPreparation() throws {
    try withBytes { path in
      var choices = DataSource.Choices()
      choices.preset = "imagenet"
      (choices.channels, choices.resize) = ("bgr", 300)
      let source = try DataSource(path: path, choices)
      var network = try #require(
        Network(architecture: "resnet8", imageShape: [3, 32, 32], classes: 10))
      network.graph.note(source, of: try source.open(.train, DataRequest(), shape: [3, 2, 2]))
      let file = path + ".onnx"
      try network.write(to: file)
      let again = try DataSource(path: path, .init(), network: file)
      #expect(again.preset == source.preset)
      choices = DataSource.Choices()
      choices.preset = "plain"
      let other = try DataSource(path: path, choices, network: file)
      #expect(other.preset.name == "plain")
    }
  }

  @Test(arguments: [("mean", 0.0), ("scale", -1), ("resize", 0), ("crop", 1_000_000)])
  func impossibleNumbersAreRefused(_ option: String, _ value: Double) {
    var choices = DataSource.Choices()
    choices.preset = "plain"
    switch option {
    case "mean": choices.standardDeviation = [Float(value)]
    case "scale": choices.scale = value
    case "resize": choices.resize = Int(value)
    default: choices.crop = Int(value)
    }
    #expect(throws: UsageError.self) { try DataSource(path: "synthetic", choices) }
  }

  @Test func classesAreReadFromAFile() throws {
    try SharedFiles.withFiles(["ok": "a\nb c\n\n", "gap": "a\n\nb", "twice": "a\na", "none": ""]) {
      root in
      var choices = DataSource.Choices()
      choices.classes = root + "/ok"
      let source = try DataSource(path: "synthetic", choices)
      #expect(source.classes == ["a", "b c"])
      for name in ["gap", "twice", "none", "missing"] {
        choices.classes = "\(root)/\(name)"
        let unusable = choices
        #expect(throws: UsageError.self, "\(name)") {
          try DataSource(path: "synthetic", unusable)
        }
      }
    }
  }

  /// Ten classes in equal shares: three standard errors above a tenth.
  @Test func guessingIsToldFromKnowing() throws {
    let outputs = Outputs(guessing: [[10]])
    let chance = try #require(try Chance(SyntheticDataset(count: 1000, split: .train), outputs))
    #expect(abs(chance.share - 0.1) < 1e-9 && abs(chance.bound - 0.12846) < 1e-4)
    #expect(chance.problem(12.8, "x") != nil && chance.problem(12.9, "x") == nil)
    #expect(try Chance(SyntheticDataset(count: 40, split: .train), outputs) == nil)
    #expect(try Chance(Unlabelled(SyntheticDataset(count: 1000, split: .train)), outputs) == nil)
  }

  /// Few images, nearly all of one class: what is right on some of the others, too, is no guess.
  @Test func rareClassesMayBeKnown() throws {
    let counts = [96, 4]
    let outputs = Outputs(guessing: [[2]])
    let labels = counts.enumerated().flatMap { [Int64](repeating: Int64($0), count: $1) }
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "data.npz").path
    try NumPyFile.writeArchive(
      [
        ("x", Tensor(shape: [100, 1], repeating: 1)),
        ("y", Tensor(shape: [100], integers: labels)),
      ], to: path)
    let data = try Datasets.open(path, split: .train)
    #expect(try Chance(data, outputs) == nil)
    let chance = try #require(try Chance(data, outputs, errors: 1))
    #expect(chance.problem(97, "x") != nil && chance.problem(98, "x") == nil)
  }

  /// Labels that have nothing to do with the images, few or with some of no class, and such as are of no class at all.
  @Test(arguments: [(450, 0), (1350, 0), (450, -1), (1350, -1), (1350, -100), (1350, 255)])
  func labelsOfOtherImagesAreRefused(_ count: Int, _ odd: Int) throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    var network = SmallNetwork()
    let x = network.input([6])
    let hidden = network.apply(Relu(), network.linear(x, 6, 8, "hidden"), name: "relu")
    network.output(network.linear(hidden, 8, 3, "classes"), [3])
    let labels = (0..<count).map { odd < -1 || odd > 2 ? odd : ($0 * 7919 + $0 / 3) % (3 - odd) + odd }
    let file = folder.appending(path: "data.npz")
    try NumPyFile.writeArchive(
      [
        ("x", network.tensor([count, 6])),
        ("y", Tensor(shape: [count], integers: labels.map(Int64.init))),
      ], to: file.path)
    var pruning = Pruning(source: try DataSource(path: file.path, preset: "plain"))
    (pruning.goal, pruning.epochs) = (.macs(0.7), 0)
    if odd == -100 || odd == 255 {
      let error = #expect(throws: UsageError.self) { try pruning.run(Network(network.graph)) }
      #expect(error?.problem.contains("no class: nothing is left to learn") == true)
    } else {
      #expect(throws: ChanceError.self) { try pruning.run(Network(network.graph)) }
    }
  }

  @Test func guessingNetworksAreNotPruned() throws {
    let network = try #require(
      Network(architecture: "resnet8", imageShape: [3, 32, 32], classes: 10))
    let pruning = Pruning(source: try DataSource(path: "synthetic", preset: "mnist"))
    let error = #expect(throws: ChanceError.self) { try pruning.run(network) }
    #expect(error?.problem.contains("mnist") == true, "\(error?.problem ?? "")")
    #expect(error?.recovery?.contains("--allow-chance") == true)
  }
}
