import NapEngine
import NapGraph
import NapKernels
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// Batch normalization in training, whose function is not that of its specification.
@Suite struct NormalizationTests {
  private let batch = 3
  private let channels = 2
  private let image = [2, 3]

  private func network(relu: Bool) -> SmallNetwork {
    var n = SmallNetwork()
    let x = n.input([channels] + image)
    let c = n.conv(x, [channels, channels, 1, 1], bias: true, "conv")
    var y = n.normalization(c, channels, "bn")
    if relu { y = n.apply(Relu(), y, name: "relu") }
    n.output(y, [channels] + image)
    return n
  }

  /// The network's outputs with the statistics of the batch, in double precision.
  private func expected(_ graph: Graph, _ x: Tensor, relu: Bool) -> (
    y: [Double], mean: [Double], variance: [Double]
  ) {
    let conv = graph.nodes[0].op.forward(graph.nodes[0].inputs.map { graph.constants[$0] ?? x })[0]
    let parameters = graph.nodes[1].inputs.dropFirst().map { graph.constants[$0]?.floats ?? [] }
    let size = image.product
    var y = conv.floats.map(Double.init)
    var (means, variances) = ([Double](), [Double]())
    for c in 0..<channels {
      let indices = (0..<batch).flatMap { n in (0..<size).map { (n * channels + c) * size + $0 } }
      let values = indices.map { Double(conv.floats[$0]) }
      let mean = values.reduce(0, +) / Double(values.count)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
      for (i, value) in zip(indices, values) {
        let z = (value - mean) / (variance + 1e-5).squareRoot()
        y[i] = Double(parameters[0][c]) * z + Double(parameters[1][c])
        if relu { y[i] = max(0, y[i]) }
      }
      means.append(mean)
      variances.append(variance * Double(values.count) / Double(values.count - 1))
    }
    return (y, means, variances)
  }

  @Test(arguments: [false, true])
  func trainingUsesAndRecordsTheStatisticsOfTheBatch(_ relu: Bool) throws {
    var network = network(relu: relu)
    let x = network.tensor([batch, channels] + image)
    let parameters = Parameters(network.graph)
    let plan = try Plan(network.graph, parameters: parameters, mode: .training, batch: batch)
    plan.inputs[0].update(from: x.floats, count: x.count)
    plan.forward()
    let (y, mean, variance) = expected(network.graph, x, relu: relu)
    let found = Array(UnsafeBufferPointer(start: plan.outputs[0], count: y.count))
    #expect(relativeDifference(found, y.map(Float.init)) < 1e-5)
    for (name, batchValues) in [("mean", mean), ("variance", variance)] {
      let value = network.constant("bn.\(name)")
      let old = try #require(network.graph.constants[value]).floats
      let updated = zip(old, batchValues).map { 0.9 * $0 + 0.1 * Float($1) }
      #expect(relativeDifference(parameters.tensor(value).floats, updated) < 1e-5, "\(name)")
    }
  }

  @Test(arguments: [false, true])
  func gradientsAgreeWithFiniteDifferences(_ relu: Bool) throws {
    var network = network(relu: relu)
    let x = network.tensor([batch, channels] + image)
    let direction = network.tensor([batch, channels] + image)
    let plan = try Plan(network.graph, mode: .training, batch: batch)
    plan.inputs[0].update(from: x.floats, count: x.count)
    plan.forward()
    plan.outputGradients[0].update(from: direction.floats, count: direction.count)
    plan.backward()
    for name in ["conv.w", "bn.scale", "bn.bias"] {
      let value = network.constant(name)
      let found = try #require(plan.parameterGradients[value])
      let count = try #require(network.graph.constants[value]).count
      for i in 0..<count {
        let sums = [Float(1e-2), -1e-2].map { step in
          var moved = network.graph
          moved.constants[value]?.floats[i] += step
          return zip(expected(moved, x, relu: relu).y, direction.floats).reduce(0) {
            $0 + $1.0 * Double($1.1)
          }
        }
        // Kinks of the relu lie within the step now and then.
        #expect(
          abs(Double(found[i]) - (sums[0] - sums[1]) / 2e-2) < (relu ? 0.1 : 5e-3), "\(name)[\(i)]")
      }
    }
  }

  @Test func statisticsMomentumIsTheCallersIfHeWants() throws {
    var network = network(relu: false)
    let x = network.tensor([batch, channels] + image)
    let parameters = Parameters(network.graph)
    let plan = try Plan(network.graph, parameters: parameters, mode: .training, batch: batch)
    plan.inputs[0].update(from: x.floats, count: x.count)
    plan.statisticsMomentum = 0
    plan.forward()
    let mean = expected(network.graph, x, relu: false).mean.map(Float.init)
    #expect(relativeDifference(parameters.tensor(network.constant("bn.mean")).floats, mean) < 1e-5)
  }
}
