import NapGraph
import NapOperators
import NapTensor
import Testing

/// No file may bring an operator to trap: what it does not like, it refuses.
@Suite struct OperatorFuzz {
  @Test(arguments: OperatorSample.all)
  func inferNeverTraps(_ sample: OperatorSample) {
    var noise = Noise(seed: Seed(11).derived(sample.testDescription))
    for _ in 0..<500 { _ = try? sample.op.infer(noise.shapes(like: sample.inputs.map(\.shape))) }
  }

  /// What survives importing and inferring must also link, adapt and run.
  @Test(arguments: OperatorSample.all)
  func importingNeverTraps(_ sample: OperatorSample) throws {
    var noise = Noise(seed: Seed(12).derived(sample.testDescription))
    let written = WrittenNode(sample).description
    let type = type(of: sample.op)
    for _ in 0..<500 {
      let node = noise.node(like: written)
      guard let imported = try? type.importing(node) else { continue }
      let shapes = imported.inputs.map { node.inputs[$0]?.shape ?? [] }
      guard let outputs = try? imported.op.infer(shapes) else { continue }
      guard (shapes + outputs).allSatisfy({ $0.allSatisfy { $0 < 20 } && $0.product < 500 }) else {
        continue
      }
      var links = IndexLinks(inputShapes: shapes, outputShapes: outputs)
      imported.op.link(&links)
      let tensors = shapes.map { Tensor.random($0) }
      #expect(imported.op.forward(tensors).map(\.shape) == outputs)
      let all = { (shapes: [[Int]]) in shapes.map { $0.map { Array(0..<$0) } } }
      let cut = NodeCut(
        inputShapes: shapes, outputShapes: outputs, keptInputs: all(shapes),
        keptOutputs: all(outputs))
      #expect(try imported.op.adapted(to: cut).infer(shapes) == outputs)
    }
  }
}

/// Makes values that a broken or hostile file might hold.
struct Noise {
  private var generator: SplitMix64

  init(seed: Seed) { generator = seed.generator() }

  private static let sizes = [
    0, 1, 2, 3, 4, 5, 7, -1, -2, .max, .max / 2, .min, 1 << 32, -(1 << 40),
  ]

  private mutating func chance(_ one: Int) -> Bool {
    Int.random(in: 0..<one, using: &generator) == 0
  }

  private mutating func number(from list: [Int] = sizes) -> Int {
    list.randomElement(using: &generator) ?? 0
  }

  private mutating func numbers() -> [Int] {
    (0..<Int.random(in: 0...5, using: &generator)).map { _ in number() }
  }

  private mutating func shape(like shape: [Int]) -> [Int] {
    if chance(4) { return numbers() }
    return shape.map { chance(3) ? number() : $0 }
  }

  mutating func shapes(like shapes: [[Int]]) -> [[Int]] {
    var result = shapes.map { chance(2) ? shape(like: $0) : $0 }
    if chance(10) { result.append(numbers()) }
    if chance(10) { _ = result.popLast() }
    return result
  }

  private mutating func tensor(like tensor: Tensor?) -> Tensor {
    if chance(4) {
      return chance(2)
        ? .random([Int.random(in: 0...3, using: &generator)])
        : Tensor(shape: [1, 2], integers: [0, -1])
    }
    if let tensor, tensor.isFloat { return tensor }
    guard let tensor, chance(2) else { return Tensor(numbers()) }
    return Tensor(tensor.integers.map { chance(3) ? number() : Int($0) })
  }

  private mutating func attribute(like attribute: Attribute) -> Attribute {
    switch (attribute, chance(5)) {
    case (.int, false): .int(number())
    case (.ints(let numbers), false): .ints(numbers.map { chance(2) ? number() : $0 })
    case (.float, false): .float(chance(2) ? .nan : -1e30)
    case (.string, false): .string("?")
    default: chance(2) ? .ints(numbers()) : .strings(["?"])
    }
  }

  /// The node with some attributes, inputs, the opset or the number of outputs changed.
  mutating func node(like node: NodeDescription) -> NodeDescription {
    var result = node
    for (key, value) in node.attributes.sorted(by: { $0.key < $1.key }) where chance(2) {
      result.attributes[key] = chance(4) ? nil : attribute(like: value)
    }
    for (index, input) in node.inputs.enumerated() where chance(3) {
      guard let input, !chance(8) else {
        result.inputs[index] = nil
        continue
      }
      let constant = input.constant == nil ? nil : tensor(like: input.constant)
      let shape = constant?.shape ?? shape(like: input.shape)
      result.inputs[index] = .init(shape: shape, constant: constant)
    }
    if chance(6) { result.inputs = result.inputs.dropLast() }
    if chance(3) { result.opset = Int.random(in: 1...22, using: &generator) }
    if chance(6) { result.outputCount = Int.random(in: 1...4, using: &generator) }
    return result
  }
}
