import Foundation
import NapKit

/// Prunes a network to half of its multiply-accumulates.
func half() throws {
  var pruning = Pruning(source: try DataSource(path: "DIR", preset: "cifar10"))
  pruning.goal = .macs(0.5)
  let directory = try RunDirectory(creating: "half.run")
  let (smaller, report) = try pruning.run(try Network(contentsOf: "model.onnx"), in: directory)
  try smaller.write(to: "half.onnx")
  directory.finish(report)
  print(report.accuracyAfter, report.macsAfter)
}

do {
  try half()
} catch let error as any NapError {
  // There is no such file here.
  print(error.localizedDescription)
}
