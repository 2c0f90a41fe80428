import NapKernels

/// Says where a step goes instead of along the gradient of one weight.
package protocol Preconditioner: AnyObject {
  /// Elements of the weight.
  var count: Int { get }

  /// Turns a gradient, and leaves its length as it was: learning rates mean what they mean without it.
  ///
  /// - Parameter gradient: `count` numbers, replaced.
  func apply(to gradient: UnsafeMutablePointer<Float>)
}

extension Preconditioner {
  /// Does something to a gradient and scales it back to its length; to 0 where it is no length.
  func keepingLength(
    of gradient: UnsafeMutablePointer<Float>, _ turn: () -> Void
  ) {
    let before = dotProduct(gradient, gradient, count: count)
    turn()
    let after = dotProduct(gradient, gradient, count: count)
    let scale = after > 0 && after.isFinite ? Float((before / after).squareRoot()) : 0
    for i in 0..<count { gradient[i] *= scale }
  }
}
