import Foundation
import NapGraph
import NapKit
import NapTestSupport

extension FuzzTarget {
  /// Times of a small network's layers.
  static let latencyTable = FuzzTarget(
    name: "latency-table",
    seeds: {
      [
        Data(
          "node,inputs,outputs,milliseconds\na,3,4,0.5\nb,4,4,1e-3\nc,4,4,0\nclassifier,4,3,0.1\n"
            .utf8)
      ]
    }
  ) { bytes, folder in
    let network = Network(SmallNetwork.all[0].network.graph)
    _ = try Latency(contentsOf: folder.file("t.csv", bytes), for: network)
  }

  /// The list of networks that a run has kept.
  static let runDirectory = FuzzTarget(
    name: "run-directory",
    seeds: {
      let point = #"{"macs":0.5,"parameters":0.5,"accuracy":90}"#
      return ["[]", #"[{"file":"point-1.onnx","point":\#(point),"sizes":{"x":[1]}}]"#].map {
        Data($0.utf8)
      }
    }
  ) { bytes, folder in
    _ = try folder.file("points.json", bytes)
    let run = try RunDirectory(reading: folder.path)
    guard let best = run.best(macs: 0.9) else { return }
    _ = try run.network(best)
  }

  /// A network on the way of a job. Contents are sealed, as no change to bytes gets past the checksum; with a first
  /// byte that is odd they are taken as they come.
  static let checkpoint = FuzzTarget(
    name: "checkpoint",
    seeds: {
      let encoder = PropertyListEncoder()
      encoder.outputFormat = .binary
      return try (SmallNetwork.all + SmallNetwork.reshaping).map {
        try Data([0]) + encoder.encode($0.network.graph)
      } + [Data([0]) + encoder.encode([1.5, 2]), Data([1]) + Checkpoint.seal(of: Data()), Data()]
    }
  ) { bytes, folder in
    let content = Data(bytes.dropFirst())
    let isRaw = (bytes.first ?? 0) % 2 == 1
    let path = try folder.file("1.step", isRaw ? content : Checkpoint.seal(of: content) + content)
    _ = Checkpoint.read(Graph.self, from: path)
    _ = Checkpoint.read([Double].self, from: path)
  }
}
