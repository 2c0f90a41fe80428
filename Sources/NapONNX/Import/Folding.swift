import NapGraph
import NapTensor

/// Evaluates nodes whose inputs are known before running, as exporters write them for shapes.
///
/// What nap computes at run time too is evaluated by the operator itself; what only shapes need is
/// a function in `Folding.functions`.
struct Folding {
  let registry: OperatorRegistry
  let budget: FoldingBudget

  /// The outputs of a node, or `nil` when they depend on what is only known at run time.
  /// - Throws: when the node is wrong, such as its shapes do not fit.
  func outputs(of node: NodeDescription) throws(OperatorError) -> [Tensor]? {
    let isKnown =
      Self.readOnlyShapes.contains(node.operatorType)
      || (node.operatorType == "CastLike" && node.inputs.first??.constant != nil)
      || node.inputs.allSatisfy { $0 == nil || $0?.constant != nil }
    guard isKnown else { return nil }
    try Self.checkMemory(node.inputs.reduce(0) { $0 + ($1?.constant?.count ?? 0) }, "computing it")
    if let function = Self.functions[node.operatorType] {
      try budget.take(Self.work(node))
      let result = try function(node)
      // What a constant holds is in the file.
      if node.operatorType != "Constant" { try budget.take(result.count) }
      try Self.checkRange(of: [result], node.operatorType, [])
      return [result]
    }
    guard let type = registry[node.operatorType] else { return nil }
    let imported = try type.importing(node)
    var inputs: [Tensor] = []
    for index in imported.inputs {
      guard let tensor = try node.constant(ofInput: index, "an input") else {
        throw OperatorError("input \(index) is missing")
      }
      inputs.append(tensor)
    }
    guard inputs.allSatisfy(\.isFloat) || Self.takesIntegers.contains(node.operatorType) else {
      throw OperatorError("takes floats, but was given integers")
    }
    guard Set(inputs.map(\.elementType)).count <= 1 else {
      throw OperatorError("its inputs have different element types")
    }
    let (shapes, results) = (inputs.map(\.shape), try imported.op.infer(inputs.map(\.shape)))
    for shape in results { try Self.checkSize(shape, inputs: inputs) }
    try budget.take(imported.op.work(inputs: shapes, outputs: results))
    let outputs = try Self.doubles(of: imported.op, node, inputs) ?? imported.op.forward(inputs)
    try Self.checkRange(of: outputs, imported.op.name, inputs)
    return outputs
  }

  /// Steps of a function that come before its result: inputs are read, or repeated to the shape of all.
  private static func work(_ node: NodeDescription) -> Int {
    let inputs = node.inputs.compactMap { $0?.constant }
    var shape: [Int]? = []
    for input in inputs { shape = shape.flatMap { try? broadcastShape($0, input.shape) } }
    return max(
      inputs.reduce(0) { $0 + $1.count }, [inputs.count, shape?.boundedProduct ?? 0].boundedProduct)
  }

  /// Refuses results so large that they can only come from a broken file, or that there is no memory for.
  static func checkSize(_ shape: [Int], inputs: [Tensor]) throws(OperatorError) {
    let limit = max(1 << 26, inputs.reduce(0) { $0 + $1.count })
    guard let count = shape.elementCount, count <= limit else {
      throw OperatorError("its result would have the impossible shape \(describe(shape))")
    }
    try checkMemory(count, "its result of shape \(describe(shape))")
  }

  private static func checkMemory(_ count: Int, _ what: String) throws(OperatorError) {
    do {
      try Memory.check(bytesOfFolding * count, for: what)
    } catch {
      throw OperatorError(error.problem, recovery: error.recovery)
    }
  }

  /// What an element takes at most while it is computed: inputs that are expanded, sums in double
  /// precision, and where in the inputs it is from.
  private static let bytesOfFolding = 40

  private static let readOnlyShapes: Set<String> = ["Shape", "Size"]

  /// Registered operators that are defined on integers.
  private static let takesIntegers: Set<String> = [
    "Abs", "Add", "Cast", "Concat", "Div", "Expand", "Flatten", "Gather", "Identity", "Mul", "Neg",
    "Pad", "Pow", "Reshape", "Slice", "Split", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze",
    "Where",
  ]
}

extension Folding {
  typealias Function = @Sendable (NodeDescription) throws(OperatorError) -> Tensor

  /// Operators that shape computations use and networks do not, by ONNX name.
  static let functions: [String: Function] = [
    "And": logical { $0 && $1 },
    "Ceil": elementwise(reals: { $0.rounded(.up) }),
    "Constant": constant,
    "ConstantOfShape": constantOfShape,
    "Equal": comparison(reals: { $0 == $1 }, integers: { $0 == $1 }),
    "Floor": elementwise(reals: { $0.rounded(.down) }),
    "Greater": comparison(reals: { $0 > $1 }, integers: { $0 > $1 }),
    "GreaterOrEqual": comparison(reals: { $0 >= $1 }, integers: { $0 >= $1 }),
    "Less": comparison(reals: { $0 < $1 }, integers: { $0 < $1 }),
    "LessOrEqual": comparison(reals: { $0 <= $1 }, integers: { $0 <= $1 }),
    "Max": arithmetic(reals: { $0 > $1 || $0.isNaN ? $0 : $1 }, integers: { max($0, $1) }),
    "Min": arithmetic(reals: { $0 < $1 || $0.isNaN ? $0 : $1 }, integers: { min($0, $1) }),
    "Mod": remainder,
    "NonZero": nonZero,
    "Not": elementwise(integers: { $0 == 0 ? 1 : 0 }),
    "Or": logical { $0 || $1 },
    "Range": range,
    "ReduceMax": reduction(reals: { $0 > $1 || $0.isNaN ? $0 : $1 }, integers: { max($0, $1) }),
    "ReduceMin": reduction(reals: { $0 < $1 || $0.isNaN ? $0 : $1 }, integers: { min($0, $1) }),
    "ReduceProd": reduction(reals: { $0 * $1 }, integers: { $0 &* $1 }),
    "ReduceSum": reduction(reals: { $0 + $1 }, integers: { $0 &+ $1 }),
    "ScatterND": scatter,
    "Shape": shape,
    "Size": size,
    "Trilu": triangle,
  ]
}
