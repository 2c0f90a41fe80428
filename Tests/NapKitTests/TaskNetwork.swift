import Foundation
import NapData
import NapGraph
import NapKit
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// A small network with a task of its own, and data that nobody has seen: training and test arrays.
struct TaskNetwork: Sendable, CustomTestStringConvertible {
  var name: String
  /// What it is judged by.
  var measure: String
  /// In percent, after training.
  var least: Double
  var tasks: [String: String] = [:]
  var learningRate = 0.05
  var network: @Sendable () -> Graph
  /// Arrays by name, of so many examples.
  var arrays: @Sendable (_ count: Int, _ random: inout SplitMix64) -> [(String, Tensor)]

  var testDescription: String { name }

  /// Writes `data.npz` with both parts.
  func write(to folder: URL, train: Int = 1600, test: Int = 400) throws -> String {
    let path = folder.appending(path: "data.npz").path
    var random = Seed(5).generator()
    var all: [(name: String, tensor: Tensor)] = []
    for (part, count) in [("train", train), ("test", test)] {
      all += arrays(count, &random).map { ("\(part)/\($0.0)", $0.1) }
    }
    try NumPyFile.writeArchive(all, to: path)
    return path
  }

  static let all = [segmentation, regression, twoInputs, oneLogit, multiLabel, nextToken]

  private static func noise(_ count: Int, _ random: inout SplitMix64) -> [Float] {
    (0..<count).map { _ in 2 * random.uniform() - 1 }
  }

  /// Bright and dark places, and what lies between them.
  private static let segmentation = TaskNetwork(
    name: "segmentation", measure: "mean IoU", least: 60
  ) {
    var n = SmallNetwork()
    var x = n.input([1, 12, 12])
    for (k, channels) in [16, 16].enumerated() {
      x = n.conv(x, [channels, k == 0 ? 1 : 16, 3, 3], bias: true, "conv\(k)")
      x = n.apply(Relu(), x, name: "relu\(k)")
    }
    n.output(n.conv(x, [3, 16, 1, 1], bias: true, "classes"), [3, 12, 12])
    return n.scaled()
  } arrays: { count, random in
    let x = noise(count * 144, &random)
    let y = x.indices.map { i -> Int64 in
      let (row, column) = (i / 12 % 12, i % 12)
      var sum = x[i]
      if column > 0 { sum += x[i - 1] }
      if row > 0 { sum += x[i - 12] }
      return sum > 0.5 ? 2 : sum < -0.5 ? 0 : 1
    }
    return [
      ("x", Tensor(shape: [count, 1, 12, 12], floats: x)),
      ("mask", Tensor(shape: [count, 12, 12], integers: y)),
    ]
  }

  private static let regression = TaskNetwork(name: "regression", measure: "R²", least: 80) {
    var n = SmallNetwork()
    let hidden = n.apply(Relu(), n.linear(n.input([6]), 6, 48, "a"), name: "relu")
    n.output(n.linear(hidden, 48, 2, "numbers"), [2])
    return n.scaled()
  } arrays: { count, random in
    let x = noise(count * 6, &random)
    let y = (0..<count).flatMap { n -> [Float] in
      let row = x[n * 6..<n * 6 + 6].map { $0 }
      return [2 + 1.5 * row[0] + abs(row[1]), 0.5 * (row[2] * row[3] + row[4])]
    }
    return [
      ("x", Tensor(shape: [count, 6], floats: x)), ("y", Tensor(shape: [count, 2], floats: y)),
    ]
  }

  /// An image and some numbers; which of the numbers is asked about, the image says.
  private static let twoInputs = TaskNetwork(name: "two inputs", measure: "accuracy", least: 80) {
    var n = SmallNetwork()
    let image = n.input([1, 6, 6], "image")
    let numbers = n.input([4], "numbers")
    let features = n.apply(
      Relu(), n.conv(image, [8, 1, 3, 3], bias: true, "conv"), name: "conv.relu")
    let flat = n.apply(
      Flatten(), n.apply(GlobalAveragePool(), features, name: "pool"), name: "flat")
    let joined = n.apply(Concat(axis: 1), flat, numbers, name: "join")
    let hidden = n.apply(Relu(), n.linear(joined, 12, 48, "a"), name: "relu")
    n.output(n.linear(hidden, 48, 3, "classes"), [3])
    return n.scaled()
  } arrays: { count, random in
    var (images, classes): ([Float], [Int64]) = ([], [])
    let numbers = noise(count * 4, &random)
    for n in 0..<count {
      let isBright = random.uniform() > 0.5
      images += noise(36, &random).map { 0.3 * $0 + (isBright ? 1 : -1) }
      let value = isBright ? numbers[4 * n] + numbers[4 * n + 1] : numbers[4 * n + 2]
      classes.append(value > 0.33 ? 2 : value < -0.33 ? 0 : 1)
    }
    return [
      ("numbers", Tensor(shape: [count, 4], floats: numbers)),
      ("image", Tensor(shape: [count, 1, 6, 6], floats: images)),
      ("label", Tensor(shape: [count], integers: classes)),
    ]
  }

  /// A convolution for edges: whether there is a vertical bar, and where.
  private static func bars(_ outputs: Int) -> Graph {
    var n = SmallNetwork()
    var x = n.input([1, 8, 8])
    for (k, channels) in [12, 16].enumerated() {
      x = n.conv(x, [channels, k == 0 ? 1 : 12, 3, 3], bias: true, "conv\(k)")
      x = n.apply(Relu(), x, name: "relu\(k)")
    }
    let flat = n.apply(Flatten(), x, name: "flat")
    n.output(n.linear(flat, 1024, outputs, "answers"), [outputs])
    return n.scaled()
  }

  private static func bars(_ count: Int, _ quarters: Int, _ random: inout SplitMix64) -> (
    images: Tensor, answers: [Int64]
  ) {
    var (images, answers): ([Float], [Int64]) = ([], [])
    for _ in 0..<count {
      var image = noise(64, &random).map { 0.4 * $0 }
      for quarter in 0..<quarters {
        let isThere = random.uniform() > 0.5
        answers.append(isThere ? 1 : 0)
        let (top, left) = (quarter / 2 * 4, quarter % 2 * 4 + Int(3.9 * random.uniform()))
        // A bar, or the same dots strewn about.
        for k in 0..<4 {
          image[isThere ? (top + k) * 8 + left : (top + k) * 8 + (left / 4 * 4 + k)] += 1
        }
      }
      images += image
    }
    return (Tensor(shape: [count, 1, 8, 8], floats: images), answers)
  }

  private static let oneLogit = TaskNetwork(
    name: "one logit", measure: "accuracy", least: 85, learningRate: 0.02
  ) {
    bars(1)
  } arrays: { count, random in
    let (images, answers) = bars(count, 1, &random)
    return [("x", images), ("bar", Tensor(shape: [count], integers: answers))]
  }

  private static let multiLabel = TaskNetwork(
    name: "multi-label", measure: "F1", least: 80, learningRate: 0.02
  ) {
    bars(4)
  } arrays: { count, random in
    let (images, answers) = bars(count, 4, &random)
    return [("x", images), ("bars", Tensor(shape: [count, 4], integers: answers))]
  }

  private static let (length, tokens) = (10, 6)

  /// A small transformer; each token follows from the two before it.
  private static let nextToken = TaskNetwork(
    name: "next token", measure: "accuracy", least: 75, tasks: ["": "next-token"]
  ) {
    transformer(width: 24, heads: 2, hidden: 64)
  } arrays: { count, random in
    var numbers: [Int64] = []
    for _ in 0..<count {
      var text = (0..<2).map { _ in Int64(Float(tokens) * 0.999 * random.uniform()) }
      while text.count < length {
        let (a, b) = (text[text.count - 2], text[text.count - 1])
        text.append((a * 3 + b * 2 + a * b) % Int64(tokens))
      }
      numbers += text
    }
    return [("tokens", Tensor(shape: [count, length], integers: numbers))]
  }

  static func transformer(width: Int, heads: Int, hidden: Int) -> Graph {
    var n = SmallNetwork()
    func matrix(_ x: ValueID, _ inputs: Int, _ outputs: Int, _ name: String) -> ValueID {
      let weight = n.graph.addConstant("\(name).w", n.tensor([inputs, outputs]))
      let bias = n.graph.addConstant("\(name).b", n.tensor([outputs]))
      return n.apply(Add(), n.apply(MatMul(), x, weight, name: name), bias, name: "\(name).add")
    }
    func normalized(_ x: ValueID, _ name: String) -> ValueID {
      let scale = n.graph.addConstant("\(name).scale", Tensor(shape: [width], repeating: 1))
      let bias = n.graph.addConstant("\(name).bias", Tensor(shape: [width], repeating: 0))
      return n.apply(LayerNormalization(axis: -1, epsilon: 1e-5), x, scale, bias, name: name)
    }
    func split(_ x: ValueID, _ order: [Int], _ name: String) -> ValueID {
      let parts = n.apply(
        Reshape(target: [0, length, heads, width / heads]), x, name: "\(name).heads")
      return n.apply(Transpose(permutation: order), parts, name: "\(name).turned")
    }
    let input = n.input([length], "tokens", elementType: .int64)
    let table = n.graph.addConstant("table.w", n.tensor([tokens, width]))
    let places = n.graph.addConstant("places", n.tensor([length, width]))
    var x = n.apply(
      Add(), n.apply(Embedding(), table, input, name: "embedding"), places, name: "placed")
    let a = normalized(x, "first")
    let query = split(matrix(a, width, width, "query"), [0, 2, 1, 3], "query")
    let key = split(matrix(a, width, width, "key"), [0, 2, 3, 1], "key")
    let value = split(matrix(a, width, width, "value"), [0, 2, 1, 3], "value")
    let scale = n.graph.addConstant(
      "root", Tensor(shape: [], repeating: 1 / Float(width / heads).squareRoot()))
    // Nobody sees what comes later.
    let mask = n.graph.addConstant(
      "mask",
      Tensor(
        shape: [length, length],
        floats: (0..<length * length).map { $0 % length > $0 / length ? -1e4 : 0 }))
    let scores = n.apply(
      Add(), n.apply(Mul(), n.apply(MatMul(), query, key, name: "scores"), scale, name: "scaled"),
      mask, name: "masked")
    let weights = n.apply(Softmax(axis: -1), scores, name: "attention")
    let mixed = n.apply(
      Transpose(permutation: [0, 2, 1, 3]), n.apply(MatMul(), weights, value, name: "mixed"),
      name: "mixed.turned")
    let joined = n.apply(Reshape(target: [0, length, width]), mixed, name: "joined")
    x = n.apply(Add(), x, matrix(joined, width, width, "out"), name: "attended")
    let b = matrix(normalized(x, "second"), width, hidden, "up")
    x = n.apply(
      Add(), x, matrix(n.apply(Relu(), b, name: "up.relu"), hidden, width, "down"), name: "thought")
    n.output(matrix(normalized(x, "last"), width, tokens, "head"), [length, tokens])
    return n.scaled(except: ["mask", "root", "places", "table.w"])
  }
}

extension SmallNetwork {
  /// With weights of a size that training can begin from, and biases of zero.
  func scaled(except kept: Set<String> = []) -> Graph {
    var result = graph
    for (value, tensor) in graph.constants {
      let name = graph.name(of: value)
      if kept.contains(name) || name.hasSuffix(".scale") { continue }
      let isMatrix = name.hasSuffix(".w") && tensor.shape.count == 2
      let isTransposed = graph.nodes.contains { $0.op is MatMul && $0.inputs[1] == value }
      let inputs = isMatrix && isTransposed ? tensor.shape[0] : tensor.shape.dropFirst().product
      let factor = name.hasSuffix(".b") ? 0 : (3 / Float(max(1, inputs))).squareRoot()
      result.constants[value] = Tensor(
        shape: tensor.shape, floats: tensor.floats.map { factor * $0 })
    }
    return result
  }
}
