import NapGraph
import NapTensor

/// Functions of `Folding.functions` that look at values one by one.
extension Folding {
  static func elementwise(
    reals: (@Sendable (Double) -> Double)? = nil, integers: (@Sendable (Int64) -> Int64)? = nil
  ) -> Function {
    { (node) throws(OperatorError) in
      let x = try node.known(0)
      if x.isFloat, let reals {
        return Tensor(shape: x.shape, isDouble: x.doubles != nil) { reals(x.real($0)) }
      }
      if !x.isFloat, let integers {
        return Tensor(
          shape: x.shape, integers: x.integers.map(integers), elementType: x.elementType)
      }
      throw OperatorError("is not defined for \(x.elementType.rawValue) numbers")
    }
  }

  /// Folds all inputs, two by two.
  static func arithmetic(
    reals: @escaping @Sendable (Double, Double) -> Double,
    integers: @escaping @Sendable (Int64, Int64) -> Int64
  ) -> Function {
    { (node) throws(OperatorError) in
      var result = try node.known(0)
      for index in node.inputs.indices.dropFirst() {
        let (a, b) = try broadcast(result, try node.known(index))
        let isDouble = a.doubles != nil || b.doubles != nil
        result =
          a.isFloat
          ? Tensor(shape: a.shape, isDouble: isDouble) { reals(a.real($0), b.real($0)) }
          : Tensor(
            shape: a.shape, integers: zip(a.integers, b.integers).map(integers),
            elementType: a.elementType)
      }
      return result
    }
  }

  /// `Mod`: its sign is that of what is divided for floats, and for integers where `fmod` says so;
  /// else that of the divisor.
  static func remainder(_ node: NodeDescription) throws(OperatorError) -> Tensor {
    let isTruncated = try node.int("fmod", default: 0) != 0
    let function = arithmetic(
      reals: { $0.truncatingRemainder(dividingBy: $1) },
      integers: { a, b in
        guard b != 0, b != -1 else { return 0 }
        let remainder = a % b
        let hasOtherSign = remainder != 0 && (remainder < 0) != (b < 0)
        return hasOtherSign && !isTruncated ? remainder + b : remainder
      })
    return try function(node)
  }

  static func comparison(
    reals: @escaping @Sendable (Double, Double) -> Bool,
    integers: @escaping @Sendable (Int64, Int64) -> Bool
  ) -> Function {
    { (node) throws(OperatorError) in
      let (a, b) = try broadcast(try node.known(0), try node.known(1))
      let result =
        a.isFloat
        ? (0..<a.count).map { reals(a.real($0), b.real($0)) }
        : zip(a.integers, b.integers).map(integers)
      return Tensor(shape: a.shape, integers: result.map { $0 ? 1 : 0 }, elementType: .bool)
    }
  }

  static func logical(_ function: @escaping @Sendable (Bool, Bool) -> Bool) -> Function {
    { (node) throws(OperatorError) in
      let (a, b) = try broadcast(try node.known(0), try node.known(1))
      guard a.elementType == .bool else { throw OperatorError("takes booleans") }
      let result = zip(a.integers, b.integers).map { function($0 != 0, $1 != 0) ? Int64(1) : 0 }
      return Tensor(shape: a.shape, integers: result, elementType: .bool)
    }
  }

  static func reduction(
    reals: @escaping @Sendable (Double, Double) -> Double,
    integers: @escaping @Sendable (Int64, Int64) -> Int64
  ) -> Function {
    { (node) throws(OperatorError) in
      let x = try node.known(0)
      let given = try node.ints("axes", orInput: 1) ?? []
      let keepsEmpty = try node.int("noop_with_empty_axes", default: 0) != 0
      guard !given.isEmpty || !keepsEmpty else { return x }
      let axes =
        try given.isEmpty
        ? Array(x.shape.indices)
        : given.map { (axis) throws(OperatorError) in
          try checkedAxis(axis, rank: x.shape.count)
        }
      guard x.count > 0 else { throw OperatorError("reduces an empty tensor") }
      let keptShape = x.shape.indices.map { axes.contains($0) ? 1 : x.shape[$0] }
      let strides = keptShape.indices.map { axes.contains($0) ? 0 : keptShape.rowMajorStrides[$0] }
      let targets = positions(of: x.shape, strides: strides)
      func reduced<T>(_ values: [T], _ combine: (T, T) -> T) -> [T] {
        var result = [T?](repeating: nil, count: keptShape.product)
        for (target, value) in zip(targets, values) {
          result[target] = result[target].map { combine($0, value) } ?? value
        }
        return result.compactMap { $0 }
      }
      let keeps = try node.int("keepdims", default: 1) != 0
      let shape =
        keeps ? keptShape : x.shape.indices.filter { !axes.contains($0) }.map { x.shape[$0] }
      if let doubles = x.doubles { return Tensor(shape: shape, doubles: reduced(doubles, reals)) }
      return x.isFloat
        ? Tensor(
          shape: shape, floats: reduced(x.floats) { Float(reals(Double($0), Double($1))) })
        : Tensor(shape: shape, integers: reduced(x.integers, integers), elementType: x.elementType)
    }
  }

  static func broadcast(_ a: Tensor, _ b: Tensor) throws(OperatorError) -> (Tensor, Tensor) {
    guard a.elementType == b.elementType else {
      throw OperatorError("mixes \(a.elementType.rawValue) and \(b.elementType.rawValue) numbers")
    }
    let shape = try broadcastShape(a.shape, b.shape)
    return (try expanded(a, to: shape), try expanded(b, to: shape))
  }

  static func broadcastShape(_ a: [Int], _ b: [Int]) throws(OperatorError) -> [Int] {
    let rank = max(a.count, b.count)
    let (x, y) = (padded(a, rank), padded(b, rank))
    var shape: [Int] = []
    for (p, q) in zip(x, y) {
      guard p == q || p == 1 || q == 1 else {
        throw OperatorError("shapes \(describe(a)) and \(describe(b)) do not fit together")
      }
      shape.append(p == 1 ? q : p)
    }
    try checkSize(shape, inputs: [])
    return shape
  }

  /// The tensor repeated along its axes of size 1 to a shape it broadcasts to.
  static func expanded(_ x: Tensor, to shape: [Int]) throws(OperatorError) -> Tensor {
    guard x.shape != shape else { return x }
    let own = padded(x.shape, shape.count)
    let strides = zip(own, own.rowMajorStrides).map { $0 == 1 ? 0 : $1 }
    return taking(positions(of: shape, strides: strides), of: x, shape: shape)
  }

  private static func padded(_ shape: [Int], _ rank: Int) -> [Int] {
    [Int](repeating: 1, count: rank - shape.count) + shape
  }
}

extension NodeDescription {
  /// An input of a node whose inputs are all known.
  func known(_ index: Int) throws(OperatorError) -> Tensor {
    guard let tensor = try constant(ofInput: index, "an input") else {
      throw OperatorError("input \(index) is missing")
    }
    return tensor
  }
}
