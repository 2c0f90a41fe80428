import Foundation
import NapGraph
import NapKernels
import NapOperators
import NapTensor

/// Builds networks layer by layer, with fresh weights.
///
///     var builder = NetworkBuilder()
///     let x = builder.input([1, 28, 28])
///     let hidden = builder.relu(builder.linear(builder.flatten(x), 128, "hidden"))
///     builder.output(builder.linear(hidden, 10, "classes"), "logits")
///     let network = builder.network
///
/// Weights are drawn as He et al. 2015 (arXiv:1502.01852) propose, from a seed of their own each, which the
/// layer's name decides. Shapes are those of one example: channels, height and width of images.
///
/// - Precondition: of all methods, that the shapes fit: a network that is written down wrong ends the program.
public struct NetworkBuilder: Sendable {
  /// What a layer computes.
  public struct Value: Sendable, Hashable {
    let id: ValueID
  }

  private(set) var graph = Graph()
  private let seed: Seed
  private var shapes: [ValueID: [Int]] = [:]

  public init(name: String = "network", seed: UInt64 = 0) {
    graph.name = name
    self.seed = Seed(seed).derived("weights")
  }

  /// What has been built so far.
  public var network: Network { Network(graph) }

  /// The shape of one example; features of a vector.
  public func shape(_ value: Value) -> [Int] { shapes[value.id] ?? [] }

  /// - Parameters:
  ///   - shape: of one example.
  ///   - name: what it is called in the file.
  ///   - areIntegers: whether they are whole numbers, such as tokens.
  public mutating func input(_ shape: [Int], _ name: String = "image", areIntegers: Bool = false)
    -> Value
  {
    let value = graph.addValue(name)
    graph.inputs.append(
      .init(
        value: value, dimensions: [.dynamic("N")] + shape.map { .fixed($0) },
        elementType: areIntegers ? .int64 : .float32))
    shapes[value] = shape
    return Value(id: value)
  }

  /// - Parameters:
  ///   - value: what the network is to give.
  ///   - name: `nil` leaves the layer's.
  public mutating func output(_ value: Value, _ name: String? = nil) {
    // Under a name of its own it is what the same numbers are called outside.
    let id = name.map { graph.addNode($0, Identity(), [value.id])[0] } ?? value.id
    graph.outputs.append(
      .init(value: id, dimensions: [.dynamic("N")] + shape(value).map { .fixed($0) }))
  }

  mutating func apply(_ op: any Operator, _ inputs: [Value], _ name: String) -> Value {
    let name = name.isEmpty ? "\(op.name.lowercased())\(graph.nodes.count)" : name
    let output = graph.addNode(name, op, inputs.map(\.id))[0]
    let given = inputs.map { value in
      graph.constants[value.id].map(\.shape) ?? [1] + shape(value)
    }
    do {
      shapes[output] = Array(try op.infer(given)[0].dropFirst())
    } catch {
      preconditionFailure("layer '\(name)': \(error.problem), given \(given)")
    }
    return Value(id: output)
  }

  private mutating func constant(_ name: String, _ tensor: Tensor) -> Value {
    Value(id: graph.addConstant(name, tensor))
  }

  private func normal(_ shape: [Int], deviation: Float, _ name: String) -> Tensor {
    seed.derived(name).normal(shape, deviation: deviation)
  }

  /// A convolution without bias, padded to keep the size at stride 1.
  public mutating func convolution(
    _ x: Value, _ channels: Int, kernel: Int, stride: Int = 1, group: Int = 1, _ name: String
  ) -> Value {
    let shape = [channels, self.shape(x)[0] / group, kernel, kernel]
    let fanOut = Float(channels * kernel * kernel / group)
    let weight = constant(
      "\(name).weight", normal(shape, deviation: (2 / fanOut).squareRoot(), name))
    let pads = [kernel / 2, kernel / 2]
    let window = Window(
      kernel: [kernel, kernel], strides: [stride, stride],
      padding: .explicit(begin: pads, end: pads))
    return apply(Conv(window: window, group: group), [x, weight], name)
  }

  /// A batch normalization.
  public mutating func normalization(_ x: Value, _ name: String) -> Value {
    let channels = [shape(x)[0]]
    let parameters = [("weight", Float(1)), ("bias", 0), ("running_mean", 0), ("running_var", 1)]
      .map {
        constant("\(name).\($0.0)", Tensor(shape: channels, repeating: $0.1))
      }
    return apply(BatchNormalization(), [x] + parameters, name)
  }

  public mutating func relu(_ x: Value, _ name: String = "") -> Value { apply(Relu(), [x], name) }

  /// A linear layer with bias, of a vector.
  public mutating func linear(_ x: Value, _ features: Int, _ name: String) -> Value {
    let inputs = shape(x).product
    let weight = constant(
      "\(name).weight",
      normal([features, inputs], deviation: (1 / Float(inputs)).squareRoot(), name))
    let bias = constant("\(name).bias", Tensor(shape: [features], repeating: 0))
    return apply(Gemm(), [x, weight, bias], name)
  }

  /// The sum of two values of the same shape.
  public mutating func add(_ a: Value, _ b: Value, _ name: String = "") -> Value {
    apply(Add(), [a, b], name)
  }

  /// Values side by side along the first axis of an example: channels, or features.
  public mutating func concatenate(_ values: [Value], _ name: String = "") -> Value {
    apply(Concat(axis: 1), values, name)
  }

  public mutating func flatten(_ x: Value, _ name: String = "") -> Value {
    apply(Flatten(), [x], name)
  }

  /// The largest of every window of `size` by `size`, side by side.
  public mutating func maxPool(_ x: Value, size: Int = 2, _ name: String = "") -> Value {
    apply(MaxPool(window: Window(kernel: [size, size], strides: [size, size])), [x], name)
  }

  /// The mean of every channel, as a vector.
  public mutating func globalAveragePool(_ x: Value, _ name: String = "") -> Value {
    flatten(apply(GlobalAveragePool(), [x], name))
  }

  /// Rows of a table of `count` rows, by the whole numbers of an input.
  public mutating func embedding(_ x: Value, count: Int, features: Int, _ name: String) -> Value {
    let table = constant(
      "\(name).weight", normal([count, features], deviation: 1, name))
    return apply(Embedding(), [table, x], name)
  }

  public mutating func sigmoid(_ x: Value, _ name: String = "") -> Value {
    apply(Sigmoid(), [x], name)
  }

  /// Probabilities along the last axis.
  public mutating func softmax(_ x: Value, _ name: String = "") -> Value {
    apply(Softmax(axis: -1), [x], name)
  }

  /// Global average pool, flattening, and a linear classifier.
  public mutating func classifier(_ x: Value, _ classes: Int) {
    let pooled = apply(GlobalAveragePool(), [x], "pool")
    let features = apply(Flatten(), [pooled], "flatten")
    output(linear(features, classes, "classifier"))
  }
}
