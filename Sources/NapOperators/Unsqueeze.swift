package import NapGraph
import NapTensor

/// The input with new axes of size 1.
package struct Unsqueeze: ReshapingOperator {
  package static let name = "Unsqueeze"

  /// Where the new axes are in the output.
  package var axes: [Int]

  package init(axes: [Int]) { self.axes = axes }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard let axes = try node.ints("axes", orInput: 1) else {
      throw OperatorError("axes (input 1) are missing")
    }
    return try ImportedOperator(Unsqueeze(axes: axes), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, constants: [1: Tensor(axes)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    var result = inputs[0]
    let new = try axes.axes(ofRank: result.count + axes.count)
    for axis in new.sorted() { result.insert(1, at: axis) }
    return [result]
  }

  package func link(_ links: inout IndexLinks) {
    let rank = links.outputShapes[0].count
    let new = axes.map { $0 < 0 ? $0 + rank : $0 }
    for axis in new { links.freeze(.output(0, axis: axis), "the axis is inserted") }
    let kept = (0..<rank).filter { !new.contains($0) }
    for (input, output) in kept.enumerated() {
      links.unite(.input(0, axis: input), .output(0, axis: output))
    }
  }
}
