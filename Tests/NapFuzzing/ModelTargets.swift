import Foundation
package import NapEngine
package import NapGraph
import NapKit
import NapONNX
import NapOperators
package import NapTensor
import NapTestSupport
import SwiftProtobuf

extension FuzzTarget {
  /// Import with folding and inference of shapes, and what may be removed.
  static let model = FuzzTarget(name: "model", readsModels: true, seeds: ModelFile.seeds) {
    bytes, folder in
    _ = try Network(contentsOf: folder.file("model.onnx", bytes)).profile()
  }

  /// What can be imported, run on noise in every mode.
  static let engine = FuzzTarget(name: "engine", readsModels: true, seeds: ModelFile.seeds) {
    bytes, folder in
    let network = try Network(contentsOf: folder.file("model.onnx", bytes))
    guard try network.graph.isQuick else { return }
    for mode in [PlanMode.inference, .training, .curvature] {
      try network.graph.run(mode, on: Seed(32))
    }
  }

  /// Weights in a file beside the network's.
  static let externalData = FuzzTarget(
    name: "external-data", readsModels: true, seeds: ModelFile.externalSeeds
  ) {
    bytes, folder in
    _ = try folder.file("weights.bin", Data(repeating: 63, count: 1000))
    _ = try Network(contentsOf: folder.file("model.onnx", bytes))
  }
}

private enum ModelFile {
  @Sendable static func seeds() -> [Data] {
    (NoisyModels.bases + (1...8).map { RandomNetwork(seed: Seed($0)).graph }).compactMap {
      NoisyModels.bytes(of: $0)
    }
  }

  @Sendable static func externalSeeds() throws -> [Data] {
    try seeds().prefix(8).map { bytes in
      var model = try ONNXModelProto(serializedBytes: bytes)
      for index in model.graph.initializer.indices {
        let tensor = model.graph.initializer[index]
        guard tensor.dataType == 1 else { continue }
        model.graph.initializer[index].rawData = Data()
        model.graph.initializer[index].floatData = []
        model.graph.initializer[index].dataLocation = .external
        let entries = [
          ("location", "weights.bin"), ("offset", "0"),
          ("length", String(4 * tensor.dims.reduce(1, *))),
        ]
        model.graph.initializer[index].externalData = entries.map { key, value in
          var entry = ONNXStringStringEntryProto()
          (entry.key, entry.value) = (key, value)
          return entry
        }
      }
      return try model.serializedData()
    }
  }
}

extension Graph {
  /// Whether running the network takes no time.
  package var isQuick: Bool {
    get throws {
      let shapes = try shapes(batch: batchSize(2))
      return shapes.reduce(0) { $0 + $1.product } < 1 << 18
        && macsByNode(shapes: shapes).reduce(0, +) < 1 << 22
    }
  }

  /// Runs a plan of the network on noise, backwards too where the mode has gradients.
  package func run(_ mode: PlanMode, on seed: Seed) throws {
    let plan = try Plan(self, mode: mode, batch: batchSize(2))
    var random = seed.generator()
    for (input, shape) in zip(plan.inputs, plan.inputShapes) {
      for i in 0..<shape.product { input[i] = random.uniform() - 0.5 }
    }
    plan.forward()
    guard mode != .inference else { return }
    for (gradient, shape) in zip(plan.outputGradients, plan.outputShapes) {
      for i in 0..<shape.product { gradient[i] = random.uniform() - 0.5 }
    }
    plan.backward()
  }
}
