import Foundation
package import NapGraph
package import NapKernels
import NapTensor

/// An operator that lowers itself to prepared kernels: the fast twin of `forward` and `pullback`.
///
/// Operators without this facet still run, through their plain specification.
package protocol Lowerable: Operator {
  /// Emits the forward steps of a node and returns what emits its backward steps.
  ///
  /// The returned closure runs when all gradients of the outputs are known; it contributes
  /// gradients to the inputs that need one. It is not called for inference.
  func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering
}

/// An operator that reads its first input by `PlanBuilder.read` in the backward pass too, so that the
/// input need not be kept in between, and that offers to compute its own output again.
package protocol RecomputingOperator: Lowerable {
  /// Whether computing the output again costs little beside keeping it.
  func isWorthRecomputing(inputs: [[Int]], outputs: [[Int]]) -> Bool
}

/// Emits the backward steps of one node.
package typealias BackwardLowering = () throws -> Void

/// A pointwise operator that a kernel can apply on its way out.
package protocol ActivationOperator: Operator {
  /// The function in the kernels' terms; `nil` when they have none.
  var activation: Activation? { get }
}

/// An operator whose own kernels can compute a function that follows.
package protocol FusingOperator: Lowerable {
  /// - Parameter ofFinite: whether what it applies the function to cannot be NaN or infinite: some kernels hide it.
  func fuses(_ activation: Activation, in mode: PlanMode, ofFinite: Bool) -> Bool
}

/// An operator that scales and shifts channels by constants where nothing is trained: its inputs are
/// `x`, scale, bias, mean and variance.
package protocol FoldableNormalization: Operator {
  var epsilon: Float { get }
}

/// An affine operator whose kernels take folded normalizations and add a residual on the way out,
/// in inference plans.
package protocol FoldingOperator: AffineOperator, FusingOperator {}

/// An affine operator whose input may be seen as 3x3 patches of images, all of them.
package protocol PatchOperator: AffineOperator {
  /// Whether `PatchCorrelation` gives the second moments of its patches; curvature plans then hand
  /// on the input in `Layout(blocked:)`.
  func correlatesPatches(of input: [Int]) -> Bool
}

/// An operator around which inference plans are made of other operators than the network.
package protocol RewritingOperator: Operator {
  /// A network that computes the same; `nil` where there is nothing to gain.
  ///
  /// - Parameters:
  ///   - shapes: of all values.
  ///   - scalar: what it is computed in.
  static func rewritten(_ graph: Graph, shapes: [[Int]], in scalar: Scalar) -> Graph?
}

/// What a plan is for.
package enum PlanMode: Sendable, Hashable {
  /// Forward only, with running statistics.
  case inference
  /// Forward with batch statistics, and gradients of all parameters.
  case training
  /// Forward with running statistics, and gradients of pre-activations but of no parameter.
  case curvature
  /// Forward with running statistics, and gradients of chosen values but of no parameter.
  case gradients
}

/// A node on its way into a plan: after fusion, so that `outputs` may be those of a later node.
package struct PlanNode {
  package let index: Int
  package let name: String
  package let op: any Operator
  package let inputs: [ValueID]
  package var outputs: [ValueID]
  /// A normalization that followed: its operator, and its inputs from the scale on.
  package var normalization: (op: any FoldableNormalization, parameters: [ValueID])?
  /// What is to be added to this node's result, after the normalization.
  package var residual: ValueID?
  /// A function that followed and is to be applied last.
  package var activation: Activation?

  package init(
    index: Int, name: String, op: any Operator, inputs: [ValueID], outputs: [ValueID],
    relu: Bool = false
  ) {
    self.index = index
    self.name = name
    self.op = op
    self.inputs = inputs
    self.outputs = outputs
  }
}

/// Why a graph could not be compiled.
package struct PlanError: NapError, Equatable {
  package let problem: String
  package let recovery: String?

  package init(_ problem: String, recovery: String? = nil) {
    self.problem = problem
    self.recovery = recovery
  }
}
