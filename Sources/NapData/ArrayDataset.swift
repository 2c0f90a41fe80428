import NapTensor

/// Examples that are rows of arrays.
struct ArrayDataset: Dataset {
  let count: Int
  let inputs: [Field]
  let targets: [Field]
  let classNames: [String]
  /// Whether the first input is bytes of images.
  private let areImages: Bool
  private let inputArrays: [NumPyArray]
  private let targetArrays: [NumPyArray]

  var imageShape: [Int] { inputs[0].shape }

  /// - Parameter path: what to call them in errors.
  init(_ arrays: [NamedArray], of path: String, for request: DataRequest) throws(DataError) {
    func unusable(_ reason: String) -> DataError { .undecodable(path: path, reason: reason) }
    let chosen = try Self.chooseInputs(arrays, of: path, for: request)
    let first = chosen[0].array
    guard let count = first.shape.first, count > 0, first.count > 0 else {
      throw unusable("\(chosen[0].description) holds no examples")
    }
    self.count = count
    let names = Set(chosen.map(\.name))
    let others = arrays.filter { !names.contains($0.name) }
    let wanted = others.filter { request.outputs.contains($0.name) }
    let kept = wanted.isEmpty ? others : wanted
    if let odd = (chosen + kept).first(where: { $0.array.shape.first != count }) {
      throw .length(
        path: path, array: odd.description, count: count, first: chosen[0].description)
    }
    inputArrays = chosen.map(\.array)
    targetArrays = kept.map(\.array)
    let isInteger = request.inputs.first?.isInteger ?? false
    areImages = !isInteger && first.shape.count == 4 && first.lies(in: 0...255)
    for array in chosen + kept { try Self.check(array, of: path) }
    inputs = zip(chosen, request.inputs.isEmpty ? chosen.map(\.name) : request.inputs.map(\.name))
      .map {
        Field(
          name: $1, shape: Array($0.array.shape.dropFirst()), isInteger: !$0.array.isFloat)
      }
    targets = kept.map {
      Field(
        name: $0.name, shape: Array($0.array.shape.dropFirst()), isInteger: !$0.array.isFloat,
        range: $0.array.range)
    }
    classNames = Self.classes(targets)
  }

  /// Names by number where all that is known of an example is a class.
  private static func classes(_ targets: [Field]) -> [String] {
    guard targets.count == 1, targets[0].isInteger, targets[0].count == 1,
      let range = targets[0].range, range.lowerBound >= 0, range.upperBound <= mostClasses
    else { return [] }
    return (0...Int(range.upperBound)).map(String.init)
  }

  private static let mostClasses: Float = 100_000

  /// The arrays that are the network's inputs, in its order.
  private static func chooseInputs(
    _ arrays: [NamedArray], of path: String, for request: DataRequest
  ) throws(DataError) -> [NamedArray] {
    let names = request.inputs.map(\.name)
    let found = names.compactMap { name in arrays.first { $0.name == name } }
    if !names.isEmpty, found.count == names.count { return found }
    let all = arrays.map(\.description)
    guard names.count <= 1 else {
      let missing = names.filter { name in !arrays.contains { $0.name == name } }
      throw .missingArrays(path: path, missing: missing, found: all)
    }
    // Of a single input the name does not matter where it is plain which array is meant.
    let others = arrays.filter { !request.outputs.contains($0.name) }
    let isInteger = request.inputs.first?.isInteger ?? false
    let guess =
      others.first { inputNames.contains($0.name.lowercased()) }
      ?? others.first { !isInteger && $0.array.shape.count == 4 }
      ?? others.first { $0.array.isFloat != isInteger && $0.array.shape.count > 1 }
    if let guess { return [guess] }
    guard others.count == 1, others[0].array.shape.count > 1 else {
      throw .missingArrays(path: path, missing: names, found: all)
    }
    return others
  }

  /// What people call the only input.
  private static let inputNames: Set<String> = [
    "x", "input", "inputs", "image", "images", "data", "features", "tokens", "input_ids",
  ]

  private static func check(_ named: NamedArray, of path: String) throws(DataError) {
    if let place = named.array.firstNonfinite {
      let size = named.array.shape.dropFirst().product
      throw .notFinite(
        path: named.name.isEmpty ? path : "\(path):\(named.name)", example: place / size,
        place: Array(named.array.shape.dropFirst()).position(of: place % size))
    }
    guard named.array.isFloat || named.array.lies(in: -mostInteger...mostInteger) else {
      throw .undecodable(
        path: path,
        reason: "\(named.description) holds integers beyond 2^24, which nap does not tell apart")
    }
  }

  /// Up to here every whole number is one of `float32`.
  private static let mostInteger: Int64 = 1 << 24

  func label(at index: Int) -> Int {
    guard !classNames.isEmpty else { return 0 }
    var label: Float = 0
    targetArrays[0].copy(index..<index + 1, into: &label)
    return Int(label)
  }

  func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) {
    inputArrays[0].copy(range(inputs[0], index), into: pixels)
  }

  func copyNumbers(of index: Int, into numbers: UnsafeMutablePointer<Float>) -> Bool {
    if areImages { return false }
    copyInput(0, of: index, into: numbers)
    return true
  }

  func copyInput(_ input: Int, of index: Int, into numbers: UnsafeMutablePointer<Float>) {
    inputArrays[input].copy(range(inputs[input], index), into: numbers)
  }

  func copyTarget(_ target: Int, of index: Int, into numbers: UnsafeMutablePointer<Float>) {
    targetArrays[target].copy(range(targets[target], index), into: numbers)
  }

  private func range(_ field: Field, _ index: Int) -> Range<Int> {
    index * field.count..<(index + 1) * field.count
  }
}

extension [Int] {
  /// The indices along the axes of a shape of an element that is counted row by row.
  fileprivate func position(of element: Int) -> [Int] {
    var (rest, result) = (element, self)
    for axis in indices.reversed() {
      result[axis] = rest % self[axis]
      rest /= self[axis]
    }
    return result
  }
}
