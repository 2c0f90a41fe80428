import Foundation
import NapCurvature
import NapGraph
import NapTensor

/// What pruning a network needs at most, in bytes: known before it starts.
struct MemoryNeed: Hashable {
  /// Kronecker factors, their inverses, and what sums them up.
  private var factors = 0.0
  /// Weights in all the forms that are held at once.
  private var weights = 0
  /// Activations and gradients of one batch.
  private var activations = 0

  /// What OpenBLAS takes when it is first used; where it is refused, it asks again for ever.
  private static let library = 128 << 20

  init(_ graph: Graph, largestFactor: Int, granularity: Pruning.Granularity) throws {
    activations = try graph.activationBytes(batch: graph.curvatureBatch(of: .max))
    let shapes = try graph.shapes(batch: 1)
    var largest = 0.0
    // Squares of what a file may ask for are beyond integers.
    func square(_ size: Int) -> Double { Double(size) * Double(size) }
    for shape in graph.affineLayers(shapes: shapes).map(\.shape) {
      let squares = shape.blocks(upTo: largestFactor).map { square($0.count) }
      let outputs = square(shape.outputs)
      // In double precision, each with its inverse; or the inverse, and what removals change with it in
      // double and in single precision.
      let isTried = granularity == .channels && squares.count == 1
      let groups = Double(shape.groups)
      factors += isTried ? 4 * groups * squares[0] : 0
      factors += 16 * groups * (squares.reduce(0, +) + outputs)
      largest = max(largest, squares.max() ?? 0, outputs)
    }
    // Work space of the threads, and what a factorization takes beside its matrix.
    factors += largest * Double(4 * ProcessInfo.processInfo.activeProcessorCount + 16)
    // As in the file, as parameters, and in double precision; single weights also have scores.
    let copies = granularity != .channels ? 40 : 24
    weights = graph.constants.values.reduce(0) { $0 + copies * $1.count }
  }

  /// - Throws: `MemoryError` when it is more than there is.
  func check() throws(MemoryError) {
    let (text, factors) = (Memory.text, Int(min(factors, 0x1p60)))
    try Memory.check(
      factors + weights + activations + Self.library,
      for: """
        the curvature (\(text(factors)) for its factors, \(text(weights)) for weights, \
        \(text(activations)) for a batch of images)
        """,
      recovery: "give a smaller --max-factor, which splits the curvature of large layers")
  }
}
