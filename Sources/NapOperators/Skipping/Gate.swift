package import NapGraph

/// What decides for every example whether something is computed: a number that is compared with a threshold.
package protocol Gate: Sendable {
  /// Index of the `Mul` in the graph that multiplies what is computed by the decision.
  var product: Int { get }
  /// Index of the node that compares.
  var threshold: Int { get }
  /// What saliencies are compared with; 0 while it is trained.
  var alpha: Float { get }
  /// Before the threshold, `[n, units, 1, …]`.
  var saliency: ValueID { get }
  /// What is multiplied.
  var features: ValueID { get }
  /// How many decisions there are.
  var unitCount: Int { get }
  /// The share of what is computed that each decides about.
  var shares: [Double] { get }
  /// Whether what is open is multiplied by its saliency, not by 1.
  var scales: Bool { get }
}

extension Graph {
  /// All gates: those of channels, then those of branches.
  ///
  /// - Parameter shapes: of all values.
  package func gates(_ shapes: [[Int]]) -> [any Gate] {
    channelGates(shapes) as [any Gate] + branchGates(shapes)
  }
}
