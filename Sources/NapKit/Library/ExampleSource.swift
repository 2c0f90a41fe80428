import Foundation
import NapData
import NapTensor

/// One example: its inputs and targets, row by row, in the order of their descriptions.
public struct Example: Sendable, Hashable {
  public var inputs: [[Float]]
  public var targets: [[Float]]

  public init(inputs: [[Float]], targets: [[Float]] = []) {
    (self.inputs, self.targets) = (inputs, targets)
  }
}

/// Examples that a program brings: from memory, from files of its own, or generated.
///
/// Examples are asked for in any order and from several threads, each as often as it is needed, so that
/// little has to be kept. The same index has to give the same example each time.
public protocol ExampleSource: Sendable {
  var count: Int { get }
  /// What every example has, named like the network's inputs; of a single input the name does not matter.
  var inputs: [ArrayDescription] { get }
  /// What is to be learned of every example; empty where nobody says, and the network is imitated.
  var targets: [ArrayDescription] { get }
  /// - Parameter index: in `0..<count`.
  /// - Throws: whatever makes it impossible to read the example; the work stops with it.
  func example(at index: Int) throws -> Example
}

extension ExampleSource {
  public var targets: [ArrayDescription] { [] }
}

/// Examples in memory: arrays whose first axis counts them.
public struct ExamplesInMemory: ExampleSource {
  public let count: Int
  public let inputs: [ArrayDescription]
  public let targets: [ArrayDescription]
  private let inputArrays: [NumericArray]
  private let targetArrays: [NumericArray]

  /// - Parameters:
  ///   - inputs: by the name of the network's input, each `[examples, …]`.
  ///   - targets: by the name of the output that learns from it, where that matters.
  ///   - integers: names of those that are whole numbers: tokens, classes, yes (1) and no (0).
  /// - Throws: `UsageError` where the arrays differ in their number of examples, or there are none.
  public init(
    inputs: [String: NumericArray], targets: [String: NumericArray] = [:],
    integers: Set<String> = []
  ) throws {
    let all = [inputs, targets].map { $0.sorted { $0.key < $1.key } }
    guard let count = all[0].first?.value.shape.first, count > 0 else {
      throw UsageError("there are no examples", recovery: "give at least one input with some")
    }
    for (name, array) in all.joined() where array.shape.first != count {
      throw UsageError(
        "'\(name)' has \(array.shape.first ?? 0) examples, but '\(all[0][0].key)' has \(count)",
        recovery: "give arrays whose first axis counts the same examples")
    }
    self.count = count
    let descriptions = all.map {
      $0.map { name, array in
        ArrayDescription(
          name: name, shape: Array(array.shape.dropFirst()),
          numbers: integers.contains(name) ? .integers : .floats)
      }
    }
    (self.inputs, self.targets) = (descriptions[0], descriptions[1])
    (inputArrays, targetArrays) = (all[0].map(\.value), all[1].map(\.value))
  }

  public func example(at index: Int) -> Example {
    func row(_ array: NumericArray) -> [Float] {
      let size = array.values.count / count
      return Array(array.values[index * size..<(index + 1) * size])
    }
    return Example(inputs: inputArrays.map(row), targets: targetArrays.map(row))
  }
}

/// A program's examples, as the engine takes them.
struct SourceDataset: Dataset {
  private let source: any ExampleSource
  /// The source's inputs, in the order of the network's.
  private let order: [Int]
  /// The example that was read last: its arrays are asked for one by one.
  private let last = LastExample()
  let inputs: [Field]
  let targets: [Field]
  let classNames: [String]

  /// - Throws: `DataError` where inputs are missing.
  init(_ source: any ExampleSource, for request: DataRequest) throws {
    self.source = source
    let names = request.inputs.map(\.name)
    let places = names.compactMap { name in source.inputs.firstIndex { $0.name == name } }
    order = places.count == names.count && !names.isEmpty ? places : Array(source.inputs.indices)
    guard source.count > 0, !source.inputs.isEmpty else {
      throw UsageError("there are no examples")
    }
    guard names.count <= 1 || places.count == names.count else {
      throw DataError.missingArrays(
        path: "the examples",
        missing: names.filter { name in !source.inputs.contains { $0.name == name } },
        found: source.inputs.map(\.name))
    }
    inputs = order.map { Self.field(source.inputs[$0], nil) }
    let ranges = try Self.ranges(source)
    targets = zip(source.targets, ranges).map { Self.field($0, $1) }
    if targets.count == 1, targets[0].isInteger, targets[0].count == 1,
      let range = targets[0].range, range.lowerBound >= 0, range.upperBound < 100_000
    {
      classNames = (0..<(targets[0].classes ?? Int(range.upperBound) + 1)).map(String.init)
    } else {
      classNames = []
    }
  }

  private static func field(_ description: ArrayDescription, _ range: ClosedRange<Float>?) -> Field
  {
    var field = Field(name: description.name, shape: description.shape, range: range)
    switch description.numbers {
    case .floats: break
    case .integers: field.isInteger = true
    case .classes(let count): (field.isInteger, field.classes) = (true, count)
    }
    return field
  }

  /// Of every target, over all examples.
  private static func ranges(_ source: any ExampleSource) throws -> [ClosedRange<Float>?] {
    var bounds = source.targets.map { _ in (Float.infinity, -Float.infinity) }
    guard !bounds.isEmpty else { return [] }
    for index in 0..<source.count {
      let example = try checked(source, index)
      for (k, target) in example.targets.enumerated() {
        for number in target {
          guard number.isFinite else {
            throw UsageError(
              "target '\(source.targets[k].name)' of example \(index) is NaN or infinite")
          }
          bounds[k] = (min(bounds[k].0, number), max(bounds[k].1, number))
        }
      }
    }
    return bounds.map { $0.0 <= $0.1 ? $0.0...$0.1 : nil }
  }

  /// - Throws: `UsageError` where an example has not the numbers that were promised.
  private static func checked(_ source: any ExampleSource, _ index: Int) throws -> Example {
    let example = try source.example(at: index)
    for (arrays, descriptions) in [
      (example.inputs, source.inputs), (example.targets, source.targets),
    ] {
      guard arrays.map(\.count) == descriptions.map(\.shape.product) else {
        throw UsageError(
          "example \(index) has arrays of \(arrays.map(\.count)) numbers, not of \(descriptions.map(\.shape.product))",
          recovery: "give what its descriptions say")
      }
    }
    return example
  }

  var count: Int { source.count }
  var imageShape: [Int] { inputs[0].shape }

  private func example(_ index: Int) throws -> Example {
    try last.example(index) { try Self.checked(source, index) }
  }

  func label(at index: Int) -> Int {
    guard !classNames.isEmpty, let number = try? example(index).targets[0][0] else { return 0 }
    return min(max(0, Int(number)), classNames.count - 1)
  }

  func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) throws {
    preconditionFailure("a program's examples are numbers")
  }

  func copyNumbers(of index: Int, into numbers: UnsafeMutablePointer<Float>) throws -> Bool {
    try copyInput(0, of: index, into: numbers)
    return true
  }

  func copyInput(_ input: Int, of index: Int, into numbers: UnsafeMutablePointer<Float>) throws {
    let values = try example(index).inputs[order[input]]
    for (i, value) in values.enumerated() { numbers[i] = value }
  }

  func copyTarget(_ target: Int, of index: Int, into numbers: UnsafeMutablePointer<Float>) throws {
    for (i, value) in try example(index).targets[target].enumerated() { numbers[i] = value }
  }
}

/// Remembers one example.
// All state is guarded by `lock`.
private final class LastExample: @unchecked Sendable {
  private let lock = NSLock()
  private var known: (index: Int, example: Example)?

  func example(_ index: Int, _ read: () throws -> Example) rethrows -> Example {
    if let known = lock.withLock({ known }), known.index == index { return known.example }
    let example = try read()
    lock.withLock { known = (index, example) }
    return example
  }
}
