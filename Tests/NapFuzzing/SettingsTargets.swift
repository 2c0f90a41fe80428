import Foundation
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
}
