package import Foundation

/// A loss of values on the way, which a network gives as outputs behind its own while it is trained.
package protocol SideLoss: AnyObject {
  /// The loss of a batch, a mean over its examples; writes its gradients.
  ///
  /// - Parameters:
  ///   - progress: the part of the training that is done, in `0...1`.
  ///   - said: the outputs behind the network's own, dense, `[batch, …]`.
  ///   - losses: of the examples, of what else is learned.
  ///   - gradients: of `said`, all to be written.
  func loss(
    at progress: Double, of said: ArraySlice<UnsafePointer<Float>>, losses: [Double],
    gradients: ArraySlice<UnsafeMutablePointer<Float>>
  ) -> Double

  /// All that the next steps depend on.
  var state: Data { get set }
}
