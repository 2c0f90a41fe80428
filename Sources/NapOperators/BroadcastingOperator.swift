package import NapEngine
package import NapGraph
package import NapTensor

/// An operator of two operands whose shapes are broadcast against each other as in NumPy.
package protocol BroadcastingOperator: Lowerable {
  init()
  /// What a constant operand is for; `nil` where training leaves it alone.
  static var operandRole: ParameterRole? { get }
  /// The function on floats.
  static func value(_ a: Float, _ b: Float) -> Float
  /// The function on integers, defined for all of them.
  static func value(_ a: Int64, _ b: Int64) -> Int64
  /// Its partial derivatives.
  static func derivatives(_ a: Float, _ b: Float) -> (Float, Float)
}

extension BroadcastingOperator {
  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Self(), first: 2, of: node)
  }

  package func exported() -> ExportedOperator { ExportedOperator(name) }

  package func role(ofInput index: Int) -> ParameterRole? { Self.operandRole }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 2)
    let rank = max(inputs[0].count, inputs[1].count)
    var result: [Int] = []
    for axis in 0..<rank {
      let sizes = inputs.map { shape in
        let own = axis - (rank - shape.count)
        return own < 0 ? 1 : shape[own]
      }
      guard sizes[0] == sizes[1] || sizes.contains(1) else {
        throw OperatorError("shapes \(inputs[0]) and \(inputs[1]) cannot be broadcast")
      }
      result.append(sizes[0] == 1 ? sizes[1] : sizes[0])
    }
    try result.checkedElementCount()
    return [result]
  }

  package func link(_ links: inout IndexLinks) {
    let output = links.outputShapes[0]
    for (operand, shape) in links.inputShapes.enumerated() {
      for (axis, size) in shape.enumerated() {
        let outputAxis = axis + output.count - shape.count
        if size == output[outputAxis] {
          links.unite(.input(operand, axis: axis), .output(0, axis: outputAxis))
        } else {
          links.freeze(.input(operand, axis: axis), "its single index is broadcast")
        }
      }
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    let type: ElementType = inputs.contains(where: \.isFloat) ? .float32 : inputs[0].elementType
    let (a, b) = (Self.expanded(inputs[0], shape, type), Self.expanded(inputs[1], shape, type))
    return [
      type == .float32
        ? Tensor(shape: shape, floats: zip(a.floats, b.floats).map { Self.value($0, $1) })
        : Tensor(
          shape: shape, integers: zip(a.integers, b.integers).map { Self.value($0, $1) },
          elementType: type)
    ]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    guard inputs.allSatisfy(\.isFloat), elementType(ofOutput: 0) == .float32 else {
      return [nil, nil]
    }
    let shape = outputs[0].shape
    let operands = inputs.map { Self.expanded($0, shape, .float32).floats }
    let dy = cotangents[0].floats
    var sums = inputs.map { [Double](repeating: 0, count: $0.count) }
    Self.view(inputs[0].shape, shape).forEach { position, index in
      let slope = Self.derivatives(operands[0][position], operands[1][position]).0
      sums[0][index] += Double(slope) * Double(dy[position])
    }
    Self.view(inputs[1].shape, shape).forEach { position, index in
      let slope = Self.derivatives(operands[0][position], operands[1][position]).1
      sums[1][index] += Double(slope) * Double(dy[position])
    }
    return zip(inputs, sums).map { Tensor(shape: $0.shape, floats: $1.map(Float.init)) }
  }

  private static func expanded(_ operand: Tensor, _ shape: [Int], _ type: ElementType) -> Tensor {
    let typed = operand.converted(to: type)
    return operand.shape == shape ? typed : typed.reading(view(operand.shape, shape))
  }

  /// The operand as it looks when broadcast: stride 0 along the axes it lacks.
  private static func view(_ operand: [Int], _ shape: [Int]) -> StridedView {
    let missing = shape.count - operand.count
    let own = zip(operand, operand.rowMajorStrides).map { $0 == 1 ? 0 : $1 }
    return StridedView(shape: shape, strides: [Int](repeating: 0, count: missing) + own)
  }
}
