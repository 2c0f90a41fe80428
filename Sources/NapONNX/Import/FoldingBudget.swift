import NapGraph
import NapTensor

/// How much may be computed while a file is read, all sizes it is read for together.
///
/// What exporters leave to fold is shapes, grids of positions and weights in another form. A file that asks for
/// more than that can be small and keep a machine busy for as long as it likes.
final class FoldingBudget {
  private let limit: Int
  private var left: Int

  /// - Parameter elements: of all constants in the file, which may be folded some times over.
  init(elements: Int) {
    limit = (1 << 28) + 16 * min(elements, 1 << 40)
    left = limit
  }

  /// Takes some steps, of about an element each.
  ///
  /// - Throws: where there are not so many left.
  func take(_ steps: Int) throws(OperatorError) {
    guard steps <= left else {
      left = 0
      throw OperatorError(
        "the constants that the network computes take more than \(limit) steps",
        recovery: "fold them before, such as with onnxsim")
    }
    left -= steps
  }
}
