import Foundation
package import NapTensor

/// One operator of a network: a value that answers every question about itself.
///
/// Conforming types live one to a file in `NapOperators`, named as in ONNX. What an operator takes
/// as *attributes* here may be inputs in ONNX (pads, axes, target shapes): importing turns constant
/// inputs into attributes, exporting turns them back. Coding is exact, for jobs that are stopped and go on.
package protocol Operator: Codable, Sendable {
  /// The ONNX operator type, such as `Gemm`.
  static var name: String { get }
  /// Other ONNX types that are read as this operator, such as what older opsets call it.
  static var otherNames: [String] { get }

  /// Reads a node of an ONNX file.
  /// - Throws: `OperatorError` when an attribute is invalid or not supported.
  static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator

  /// The node to write, in the form of opset `NodeDescription.exportOpset`.
  func exported() -> ExportedOperator

  /// Output shapes for these input shapes, or a typed refusal. Never traps, whatever the shapes.
  func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]]

  /// What an output holds: floats, or whole numbers, which only networks may give out and no other
  /// operator reads.
  func elementType(ofOutput index: Int) -> ElementType

  /// Whether an input may hold whole numbers: indices, or what becomes floats.
  func readsIntegers(ofInput index: Int) -> Bool
  /// Whether an input may hold floats; indices may not.
  func readsFloats(ofInput index: Int) -> Bool

  /// Declares which indices of which axes stand or fall together: the only source of truth for
  /// structured pruning. Saying nothing freezes every axis.
  func link(_ links: inout IndexLinks)

  /// The operator after some indices of its inputs and outputs have been removed: group counts,
  /// pads, split sizes and target shapes follow the sizes.
  func adapted(to cut: NodeCut) -> Self

  /// Multiply-accumulate operations of one evaluation.
  func macs(inputs: [[Int]], outputs: [[Int]]) -> Int

  /// Steps of `forward`, of about an element each: what computing a constant with it costs.
  func work(inputs: [[Int]], outputs: [[Int]]) -> Int

  /// Whether finite inputs give finite outputs, numbers too large for floats aside.
  ///
  /// - Parameter constants: the inputs that are.
  func staysFinite(constants: [Tensor?]) -> Bool

  /// What a constant input is for; `nil` for constants that training leaves alone.
  func role(ofInput index: Int) -> ParameterRole?

  /// The plain specification of the operator: correct before fast.
  func forward(_ inputs: [Tensor]) -> [Tensor]

  /// Cotangents of the inputs, given inputs, outputs and the cotangents of the outputs; `nil` for
  /// an input that has no derivative (integers, statistics).
  func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor]) -> [Tensor?]
}

extension Operator {
  package var name: String { Self.name }
  package static var otherNames: [String] { [] }

  package func elementType(ofOutput index: Int) -> ElementType { .float32 }

  package func readsIntegers(ofInput index: Int) -> Bool { false }
  package func readsFloats(ofInput index: Int) -> Bool { true }

  package func link(_ links: inout IndexLinks) {
    links.freezeAll("\(name) does not say how its axes correspond")
  }
  package func adapted(to cut: NodeCut) -> Self { self }
  package func macs(inputs: [[Int]], outputs: [[Int]]) -> Int { 0 }
  package func work(inputs: [[Int]], outputs: [[Int]]) -> Int {
    macs(inputs: inputs, outputs: outputs)
      + (inputs + outputs).reduce(0) { $0 + $1.boundedProduct }
  }
  package func staysFinite(constants: [Tensor?]) -> Bool { true }
  package func role(ofInput index: Int) -> ParameterRole? { nil }
}

/// What a constant input of an operator is for; decides training and weight decay.
package enum ParameterRole: String, Sendable, Hashable {
  /// A matrix or filter bank: trained, decayed, pruned.
  case weight
  /// An additive vector: trained, not decayed.
  case bias
  /// The scale of a normalization: trained, not decayed.
  case scale
  /// What is divided by, or an exponent: trained, not decayed.
  case divisor
  /// A running mean or variance: estimated, not trained.
  case statistic
}

/// An operator read from a file and the ONNX inputs that remain inputs of it, in its own order.
package struct ImportedOperator: Sendable {
  package let op: any Operator
  package let inputs: [Int]

  package init(_ op: any Operator, inputs: [Int]) {
    self.op = op
    self.inputs = inputs
  }
}

/// An operator that is linear in its weight at every shared position: what has Kronecker factors.
///
/// Conforming is all it takes to be pruned by second-order theory.
package protocol AffineOperator: Operator {
  /// Sizes of the matrix product behind the operator; `nil` where these inputs are not of the form
  /// `[examples, …]` times a weight.
  func affineShape(_ inputs: [[Int]]) -> AffineShape?
  /// The axis of the weight (input 1) that holds output features.
  var weightOutputAxis: Int { get }
  /// The axis of the weight (input 1) that holds input features.
  var weightInputAxis: Int { get }
  /// `[groups, out, in]`: the weight as one matrix a group.
  func matrices(ofWeight weight: Tensor) -> Tensor
  /// The inverse of `matrices(ofWeight:)`; `shape` is the weight's.
  func weight(ofMatrices matrices: Tensor, shape: [Int]) -> Tensor
  /// Writes what the weight is multiplied by, for some examples of one group.
  ///
  /// - Shapes: `x` is input 0, dense and row-major with shape `shape`; `rows` receives
  ///   `[examples · positions, in]` when `patchesArePositionMajor`, else for each example
  ///   `[in, positions]`.
  /// - Parameter grid: which positions; all of them when `patchesArePositionMajor`.
  /// - Returns: the number of positions of each example.
  @discardableResult
  func writePatches(
    of x: UnsafePointer<Float>, shape: [Int], examples: Range<Int>, group: Int, grid: PositionGrid,
    into rows: UnsafeMutablePointer<Float>
  ) -> Int
  var patchesArePositionMajor: Bool { get }
  /// What the product with the weight is multiplied by; `matrices(ofWeight:)` holds it.
  var weightFactor: Float { get }
  /// Whether a bias vector may be given as input 2.
  var acceptsBias: Bool { get }
  /// What the bias is multiplied by.
  var biasFactor: Float { get }
}

extension AffineOperator {
  package var weightFactor: Float { 1 }
  package var acceptsBias: Bool { true }
  package var biasFactor: Float { 1 }

  /// The axis of an input or output with so many axes that holds features: those of all groups, one
  /// group after the other.
  package func featureAxis(ofRank rank: Int) -> Int { patchesArePositionMajor ? rank - 1 : 1 }
}

/// An operator that adds two values elementwise.
package protocol ResidualOperator: Operator {}

/// Sizes of an affine operator seen as `groups` products `[positions, in] · [in, out]` an example.
package struct AffineShape: Sendable, Hashable {
  package var groups: Int
  /// Input features of one group, without the homogeneous coordinate.
  package var inputs: Int
  /// Output features of one group.
  package var outputs: Int
  /// Shared positions of one example (1 for `Gemm`, pixels for `Conv`).
  package var positions: Int

  package init(groups: Int, inputs: Int, outputs: Int, positions: Int) {
    self.groups = groups
    self.inputs = inputs
    self.outputs = outputs
    self.positions = positions
  }
}

/// Some of a layer's positions: every few along each spatial axis.
package struct PositionGrid: Sendable, Hashable {
  package var step: Int
  /// The first position along each axis, smaller than `step`; 0 where it is not given.
  package var phases: [Int]

  package init(step: Int, phases: [Int]) {
    self.step = step
    self.phases = phases
  }

  package static let all = PositionGrid(step: 1, phases: [])
}

/// An operator whose attributes may hold the batch size, such as the target of a `Reshape`.
package protocol BatchDependentOperator: Operator {
  /// The operator that is this one for one batch size and `other` for another, if there is one.
  func merged(with other: Self) -> Self?
}

extension BatchDependentOperator {
  package func merged(withAny other: any Operator) -> (any Operator)? {
    (other as? Self).flatMap { merged(with: $0) }
  }
}

/// Why an operator refuses a node or its inputs.
package struct OperatorError: NapError, Equatable {
  package let problem: String
  package let recovery: String?

  package init(_ problem: String, recovery: String? = nil) {
    self.problem = problem
    self.recovery = recovery
  }
}

/// The operators a reader of files may meet, by ONNX name.
package struct OperatorRegistry: Sendable {
  package let types: [any Operator.Type]
  private let byName: [String: any Operator.Type]

  package init(_ types: [any Operator.Type]) {
    self.types = types
    let names = types.flatMap { type in ([type.name] + type.otherNames).map { ($0, type) } }
    byName = Dictionary(uniqueKeysWithValues: names)
  }

  package subscript(name: String) -> (any Operator.Type)? { byName[name] }
}
