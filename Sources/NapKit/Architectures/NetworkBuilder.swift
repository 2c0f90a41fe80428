import Foundation
import NapGraph
import NapKernels
import NapOperators
import NapTensor

/// Builds networks layer by layer, with fresh weights.
///
/// Weights are drawn as He et al. 2015 (arXiv:1502.01852) propose, from a seed of their own each.
struct NetworkBuilder {
  private(set) var graph = Graph()
  private let seed: Seed
  private var shapes: [ValueID: [Int]] = [:]

  init(name: String, seed: Seed) {
    graph.name = name
    self.seed = seed.derived("weights")
  }

  /// Channels, height and width of a value; features of a vector.
  func shape(_ value: ValueID) -> [Int] { shapes[value] ?? [] }

  mutating func input(_ imageShape: [Int]) -> ValueID {
    let value = graph.addValue("image")
    graph.inputs.append(
      .init(value: value, dimensions: [.dynamic("N")] + imageShape.map { .fixed($0) }))
    shapes[value] = imageShape
    return value
  }

  mutating func output(_ value: ValueID) {
    graph.outputs.append(
      .init(value: value, dimensions: [.dynamic("N")] + shape(value).map { .fixed($0) }))
  }

  mutating func apply(_ op: any Operator, _ inputs: [ValueID], _ name: String) -> ValueID {
    let output = graph.addNode(name, op, inputs)[0]
    let given = inputs.map { value in
      graph.constants[value].map(\.shape) ?? [1] + shape(value)
    }
    shapes[output] = (try? op.infer(given)[0]).map { Array($0.dropFirst()) } ?? []
    return output
  }

  private func normal(_ shape: [Int], deviation: Float, _ name: String) -> Tensor {
    var generator = seed.derived(name).generator()
    let floats = (0..<shape.product).map { _ -> Float in
      let (a, b) = (max(generator.uniform(), 1e-7), generator.uniform())
      return deviation * (-2 * log(a)).squareRoot() * cos(2 * .pi * b)
    }
    return Tensor(shape: shape, floats: floats)
  }

  /// A convolution without bias, padded to keep the size at stride 1.
  mutating func convolution(
    _ x: ValueID, _ channels: Int, kernel: Int, stride: Int = 1, group: Int = 1, _ name: String
  ) -> ValueID {
    let shape = [channels, self.shape(x)[0] / group, kernel, kernel]
    let fanOut = Float(channels * kernel * kernel / group)
    let weight = graph.addConstant(
      "\(name).weight", normal(shape, deviation: (2 / fanOut).squareRoot(), name))
    let pads = [kernel / 2, kernel / 2]
    let window = Window(
      kernel: [kernel, kernel], strides: [stride, stride],
      padding: .explicit(begin: pads, end: pads))
    return apply(Conv(window: window, group: group), [x, weight], name)
  }

  mutating func normalization(_ x: ValueID, _ name: String) -> ValueID {
    let channels = [shape(x)[0]]
    let parameters = [("weight", Float(1)), ("bias", 0), ("running_mean", 0), ("running_var", 1)]
      .map {
        graph.addConstant("\(name).\($0.0)", Tensor(shape: channels, repeating: $0.1))
      }
    return apply(BatchNormalization(), [x] + parameters, name)
  }

  mutating func relu(_ x: ValueID, _ name: String) -> ValueID { apply(Relu(), [x], name) }

  mutating func linear(_ x: ValueID, _ features: Int, _ name: String) -> ValueID {
    let inputs = shape(x).product
    let weight = graph.addConstant(
      "\(name).weight",
      normal([features, inputs], deviation: (1 / Float(inputs)).squareRoot(), name))
    let bias = graph.addConstant("\(name).bias", Tensor(shape: [features], repeating: 0))
    return apply(Gemm(), [x, weight, bias], name)
  }

  /// Global average pool, flattening, and a linear classifier.
  mutating func classifier(_ x: ValueID, _ classes: Int) {
    let pooled = apply(GlobalAveragePool(), [x], "pool")
    let features = apply(Flatten(), [pooled], "flatten")
    output(linear(features, classes, "classifier"))
  }
}
