import NapGraph
import NapTensor

/// Functions of `Folding.functions` that make, measure and rearrange tensors.
extension Folding {
  static func constant(_ node: NodeDescription) throws(OperatorError) -> Tensor {
    guard node.attributes.count == 1, let (key, value) = node.attributes.first else {
      throw OperatorError("needs exactly one attribute")
    }
    switch (key, value) {
    case ("value", .tensor(let tensor)), ("sparse_value", .tensor(let tensor)): return tensor
    case ("value_float", .float(let number)): return Tensor(shape: [], floats: [number])
    case ("value_floats", .floats(let numbers)):
      return Tensor(shape: [numbers.count], floats: numbers)
    case ("value_int", .int(let number)): return Tensor(shape: [], integers: [Int64(number)])
    case ("value_ints", .ints(let numbers)): return Tensor(numbers)
    default: throw OperatorError("constants of kind '\(key)' are not supported")
    }
  }

  static func constantOfShape(_ node: NodeDescription) throws(OperatorError) -> Tensor {
    let shape = try sizes(try node.known(0))
    try checkSize(shape, inputs: [])
    let value: Tensor
    switch node.attributes["value"] {
    case nil: value = Tensor(shape: [1], floats: [0])
    case .tensor(let tensor): value = tensor
    default: throw OperatorError("attribute 'value' is not a tensor")
    }
    guard value.count == 1 else { throw OperatorError("attribute 'value' is not a single number") }
    if let doubles = value.doubles {
      return Tensor(shape: shape, doubles: Array(repeating: doubles[0], count: shape.product))
    }
    return value.isFloat
      ? Tensor(shape: shape, repeating: value.floats[0])
      : Tensor(
        shape: shape, integers: Array(repeating: value.integers[0], count: shape.product),
        elementType: value.elementType)
  }

  static func shape(_ node: NodeDescription) throws(OperatorError) -> Tensor {
    let shape = try node.shape(ofInput: 0)
    func position(_ key: String, default fallback: Int) throws(OperatorError) -> Int {
      let given = try node.int(key, default: fallback)
      return given < 0 ? max(given, -shape.count) + shape.count : min(given, shape.count)
    }
    let start = try position("start", default: 0)
    let end = try position("end", default: shape.count)
    return Tensor(Array(shape[start..<max(start, end)]))
  }

  static func size(_ node: NodeDescription) throws(OperatorError) -> Tensor {
    Tensor(shape: [], integers: [Int64(try node.shape(ofInput: 0).product)])
  }

  /// `ScatterND`: a tensor with some elements or slices replaced.
  static func scatter(_ node: NodeDescription) throws(OperatorError) -> Tensor {
    let (x, indices, updates) = (try node.known(0), try node.known(1), try node.known(2))
    guard try node.string("reduction", default: "none") == "none" else {
      throw OperatorError("attribute 'reduction' is not supported")
    }
    let depth = indices.shape.last ?? 0
    guard !indices.isFloat, depth > 0, depth <= x.shape.count, x.elementType == updates.elementType
    else { throw OperatorError("its indices do not fit a tensor of shape \(describe(x.shape))") }
    let size = x.shape[depth...].product
    let count = indices.count / depth
    guard updates.count == count * size else {
      throw OperatorError("\(updates.count) updates do not fit \(count) indices")
    }
    var starts: [Int] = []
    for n in 0..<count {
      var start = 0
      for axis in 0..<depth {
        let (index, length) = (Int(indices.integers[n * depth + axis]), x.shape[axis])
        guard index >= -length, index < length else {
          throw OperatorError("index \(index) is outside an axis of size \(length)")
        }
        start += (index < 0 ? index + length : index) * x.shape.rowMajorStrides[axis]
      }
      starts.append(start)
    }
    func scattered<T>(_ source: [T], _ updates: [T]) -> [T] {
      var result = source
      for (n, start) in starts.enumerated() {
        for i in 0..<size { result[start + i] = updates[n * size + i] }
      }
      return result
    }
    return x.isFloat
      ? Tensor(shape: x.shape, floats: scattered(x.floats, updates.floats))
      : Tensor(
        shape: x.shape, integers: scattered(x.integers, updates.integers),
        elementType: x.elementType)
  }

  static func range(_ node: NodeDescription) throws(OperatorError) -> Tensor {
    let (start, limit, delta) = (try node.known(0), try node.known(1), try node.known(2))
    let all = [start, limit, delta]
    guard all.allSatisfy({ $0.count == 1 && $0.elementType == start.elementType }) else {
      throw OperatorError("takes three single numbers of the same type")
    }
    let numbers = all.map { $0.isFloat ? $0.real(0) : Double($0.integers[0]) }
    let length = ((numbers[1] - numbers[0]) / numbers[2]).rounded(.up)
    guard length.isFinite, length <= 0x1p26 else { throw OperatorError("the range is not finite") }
    let count = Int(max(0, length))
    try checkSize([count], inputs: [])
    if all.contains(where: { $0.doubles != nil }) {
      return Tensor(shape: [count], isDouble: true) { numbers[0] + Double($0) * numbers[2] }
    }
    return start.isFloat
      ? Tensor(
        shape: [count], floats: (0..<count).map { start.floats[0] + Float($0) * delta.floats[0] })
      : Tensor(
        shape: [count],
        integers: (0..<count).map { start.integers[0] &+ Int64($0) &* delta.integers[0] },
        elementType: start.elementType)
  }

  /// The upper or lower triangle of matrices, zeros elsewhere: masks of what may be attended to.
  static func triangle(_ node: NodeDescription) throws(OperatorError) -> Tensor {
    let x = try node.known(0)
    guard x.shape.count >= 2 else { throw OperatorError("takes matrices") }
    let isUpper = try node.int("upper", default: 1) != 0
    let diagonal = node.hasInput(1) ? Int(try node.known(1).integers.first ?? 0) : 0
    let (rows, columns) = (x.shape[x.shape.count - 2], x.shape[x.shape.count - 1])
    func isKept(_ position: Int) -> Bool {
      // No sum of these can overflow: a diagonal beyond the matrix keeps all or nothing.
      let shift = min(max(diagonal, -rows - columns), rows + columns)
      let distance = position % columns - position / columns % rows
      return isUpper ? distance >= shift : distance <= shift
    }
    return x.isFloat
      ? Tensor(
        shape: x.shape, floats: x.floats.enumerated().map { isKept($0.offset) ? $0.element : 0 })
      : Tensor(
        shape: x.shape,
        integers: x.integers.enumerated().map { isKept($0.offset) ? $0.element : 0 },
        elementType: x.elementType)
  }

  static func nonZero(_ node: NodeDescription) throws(OperatorError) -> Tensor {
    let x = try node.known(0)
    let found = (0..<x.count).filter { x.isFloat ? x.real($0) != 0 : x.integers[$0] != 0 }
    try checkSize([x.shape.count, found.count], inputs: [x])
    var result: [Int64] = []
    for (stride, size) in zip(x.shape.rowMajorStrides, x.shape) {
      result += found.map { Int64($0 / stride % size) }
    }
    return Tensor(shape: [x.shape.count, found.count], integers: result)
  }

  static func checkedAxis(_ axis: Int, rank: Int) throws(OperatorError) -> Int {
    guard axis >= -rank, axis < rank else {
      throw OperatorError("axis \(axis) does not exist in a tensor with \(rank) axes")
    }
    return axis < 0 ? axis + rank : axis
  }

  /// The elements of a tensor at row-major positions, under a new shape.
  static func taking(_ positions: [Int], of x: Tensor, shape: [Int]) -> Tensor {
    x.isFloat
      ? Tensor(shape: shape, isDouble: x.doubles != nil) { x.real(positions[$0]) }
      : Tensor(shape: shape, integers: positions.map { x.integers[$0] }, elementType: x.elementType)
  }

  /// `Σ index[k] · strides[k]` for every index of a shape, in row-major order.
  static func positions(of shape: [Int], strides: [Int]) -> [Int] {
    var result = [0]
    // Axes of size 1 would only copy what there is.
    for (size, stride) in zip(shape, strides) where size != 1 {
      result = result.flatMap { base in (0..<size).map { base + $0 * stride } }
    }
    return result
  }

  private static func sizes(_ tensor: Tensor) throws(OperatorError) -> [Int] {
    guard !tensor.isFloat, tensor.shape.count <= 1 else {
      throw OperatorError("a list of sizes was expected")
    }
    let sizes = tensor.integers.map(Int.init)
    guard sizes.elementCount != nil else {
      throw OperatorError("the sizes \(describe(sizes)) are impossible")
    }
    return sizes
  }
}
