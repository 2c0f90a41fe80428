import NapEngine
package import NapGraph
import NapTensor

/// The input itself: a network is pruned and run as it is used, without random dropping.
package struct Dropout: ReshapingOperator {
  package static let name = "Dropout"

  /// The share of elements dropped in training; kept for the file that is written.
  package var ratio: Float

  package init(ratio: Float = 0.5) { self.ratio = ratio }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard node.outputCount <= 1 else {
      throw OperatorError("the mask (output 1) is not supported")
    }
    let recovery = "export the model in evaluation mode"
    if node.hasInput(2) {
      guard let mode = node.inputs[2]?.constant, mode.converted(to: .bool).integers == [0] else {
        throw OperatorError("it drops at random when the network runs", recovery: recovery)
      }
    }
    return try ImportedOperator(Dropout(ratio: ratio(node)), of: node)
  }

  private static func ratio(_ node: NodeDescription) throws(OperatorError) -> Float {
    guard let tensor = try node.constant(ofInput: 1, "the ratio") else {
      return try node.float("ratio", default: 0.5)
    }
    guard tensor.isFloat, tensor.count == 1 else {
      throw OperatorError("the ratio (input 1) is not one number")
    }
    return tensor.floats[0]
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, constants: [1: Tensor(shape: [], floats: [ratio])])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    return inputs
  }

}
