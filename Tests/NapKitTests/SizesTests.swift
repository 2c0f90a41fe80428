import Foundation
import NapData
import NapGraph
import NapKit
import NapReport
import NapTensor
import NapTestSupport
import Testing

/// Sizes that a file leaves open, told by data, arrays, or another network.
@Suite struct SizesTests {
  /// A file of a network for images of any size, and a file of images.
  private func withFiles(
    _ imageShape: [Int], _ body: (_ folder: URL, _ model: String) throws -> Void
  )
    throws
  {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let model = folder.appending(path: "model.onnx").path
    try Network(SmallNetwork.anySize.graph).write(to: model)
    try NumPyFile.write(noise([40] + imageShape), to: folder.appending(path: "images.npy").path)
    try body(folder, model)
  }

  private func noise(_ shape: [Int]) -> Tensor {
    var random = Seed(8).generator()
    return Tensor(shape: shape, floats: (0..<shape.product).map { _ in random.uniform() * 2 - 1 })
  }

  private func source(_ folder: URL) throws -> DataSource {
    try DataSource(path: folder.appending(path: "images.npy").path, preset: "plain")
  }

  @Test func dataTellSizes() throws {
    try withFiles([3, 6, 10]) { folder, model in
      let network = try Network(contentsOf: model, for: source(folder))
      #expect(network.imageShape == [3, 6, 10])
      #expect(network.graph.batchSize(7) == 7)
      // What is told by two must be the same; who knows better is found out later.
      let told = try Network(
        contentsOf: model, inputShapes: ["x": [1, 3, 5, 5]], for: source(folder))
      #expect(told.imageShape == [3, 5, 5])
      #expect(try Network(contentsOf: model, like: told).imageShape == [3, 5, 5])
    }
    try withFiles([1, 6, 10]) { folder, model in
      #expect(throws: UsageError.self) { try Network(contentsOf: model, for: source(folder)) }
    }
  }

  @Test func arraysTellSizes() throws {
    try withFiles([3, 6, 10]) { folder, model in
      let arrays = ["x": folder.appending(path: "images.npy").path]
      let network = try Network(contentsOf: model, forArrays: arrays)
      let outputs = try Inference().run(
        network, inputs: arrays, output: folder.appending(path: "out.npz").path)
      #expect(outputs.map(\.shape) == [[40, 3]])
      #expect(throws: UsageError.self) { try Network(contentsOf: model, forArrays: [:]) }
    }
    try withFiles([2, 6, 10]) { folder, model in
      let arrays = ["x": folder.appending(path: "images.npy").path]
      #expect(throws: GraphError.self) { try Network(contentsOf: model, forArrays: arrays) }
    }
  }

  /// Pruned for one size, written for all; networks on the way too.
  @Test func prunedNetworksAreForAnySize() throws {
    try withFiles([3, 6, 10]) { folder, model in
      var pruning = Pruning(source: try source(folder))
      pruning.goal = .macs(0.8)
      pruning.rounds = 1
      pruning.epochs = 0
      let directory = try RunDirectory(creating: folder.appending(path: "run").path)
      let network = try Network(contentsOf: model, for: pruning.source)
      let (result, report) = try pruning.run(network, in: directory)
      #expect(report.verified && result.macs < network.macs)
      #expect(result.graph.inputs.map(\.declared) == network.graph.inputs.map(\.declared))
      let smaller = folder.appending(path: "smaller.onnx").path
      try result.write(to: smaller)
      let run = try RunDirectory(reading: folder.appending(path: "run").path)
      let kept = try run.network(try #require(run.entries.first))
      #expect(kept.imageShape == [3, 6, 10])
      let other = folder.appending(path: "other.npy").path
      let x = noise([2, 3, 9, 7])
      try NumPyFile.write(x, to: other)
      let read = try Network(contentsOf: smaller, forArrays: ["x": other])
      #expect(read.graph.evaluate([x]) == result.graph.evaluate([x]))
      guard SharedFiles.python != nil else { return }
      let out = folder.appending(path: "out.npz").path
      _ = try Inference().run(read, inputs: ["x": other], output: out)
      let check = try SharedFiles.runCrossCheck("compare.py", [smaller, "x", other, out])
      #expect(check.status == 0, "\(check.output)")
    }
  }
}
