import Foundation
import NapCurvature
import NapGraph
import NapTensor

/// What pruning a network needs at most, in bytes: known before it starts.
struct MemoryNeed: Hashable {
  /// Kronecker factors, their inverses, and what sums them up.
  var factors = 0
  /// Weights in all the forms that are held at once.
  var weights = 0
  /// Activations and gradients of one batch.
  var activations = 0

  var total: Int { factors + weights + activations }

  init(_ graph: Graph, largestFactor: Int, granularity: Pruning.Granularity) throws {
    activations = try graph.activationBytes(batch: graph.curvatureBatch(of: .max))
    let shapes = try graph.shapes(batch: 1)
    var largest = 0
    for shape in graph.affineLayers(shapes: shapes).map(\.shape) {
      let squares = shape.blocks(upTo: largestFactor).map { $0.count * $0.count }
      let outputs = shape.outputs * shape.outputs
      // In double precision, each with its inverse; or the inverse, and what removals change with it in
      // double and in single precision.
      let isTried = granularity == .channels && squares.count == 1
      factors += isTried ? 4 * shape.groups * squares[0] : 0
      factors += 16 * shape.groups * (squares.reduce(0, +) + outputs)
      largest = max(largest, squares.max() ?? 0, outputs)
    }
    // Work space of the threads, and what a factorization takes beside its matrix.
    factors += largest * (4 * ProcessInfo.processInfo.activeProcessorCount + 16)
    // As in the file, as parameters, and in double precision; single weights also have scores.
    let copies = granularity != .channels ? 40 : 24
    weights = graph.constants.values.reduce(0) { $0 + copies * $1.count }
  }

  /// - Throws: `MemoryError` when it is more than there is.
  func check() throws(MemoryError) {
    let text = Memory.text
    try Memory.check(
      total,
      for: """
        pruning (\(text(factors)) for the curvature, \(text(weights)) for weights, \
        \(text(activations)) for a batch of images)
        """,
      recovery: "give a smaller --max-factor, which splits the curvature of large layers")
  }
}
