import NapEngine
import NapGraph
import NapKernels
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// A compiled operator computes what its specification says.
@Suite struct LoweringLaws {
  @Test(arguments: OperatorSample.runnable)
  func inferencePlansAgreeWithTheSpecification(_ sample: OperatorSample) throws {
    let bench = try PlanBench(sample)
    let plan = try bench.plan(.inference)
    plan.forward()
    for (n, expected) in sample.op.forward(sample.inputs).enumerated() {
      #expect(relativeDifference(bench.output(n, of: plan), expected.floats) < 1e-5, "output \(n)")
    }
  }

  /// Kernels keep the digits that there are, all over the range of a function and in sums of many numbers:
  /// what comes next may tell nearly equal numbers apart.
  @Test(arguments: OperatorSample.precise)
  func kernelsKeepTheirDigits(_ sample: OperatorSample) throws {
    let bench = try PlanBench(sample)
    let plan = try bench.plan(.inference)
    plan.forward()
    let expected = sample.op.forward(sample.inputs)[0].floats
    let errors = zip(bench.output(0, of: plan), expected).map { abs($0 - $1) / max(1, abs($1)) }
    #expect(errors.allSatisfy { $0 < 1e-6 }, "\(errors.max() ?? 0)")
  }

  /// A large weight that sees zeros everywhere but at one pixel leaves other outputs as exact as they are
  /// without it.
  @Test(arguments: [1, 10, 30, 50, 100, 1000, 1e4, 1e6] as [Float])
  func largeWeightsDoNotBlurTheirNeighbours(_ factor: Float) throws {
    let window = Window(kernel: [3, 3], padding: .explicit(begin: [1, 1], end: [1, 1]))
    var (x, w) = (
      Tensor.random([2, 16, 8, 8]), Tensor.random([16, 16, 3, 3], in: -0.1...0.1, seed: 1)
    )
    for n in 0..<2 { for i in 0..<64 { x.floats[n * 16 * 64 + i] = 0 } }
    x.floats[27] = 1
    for o in 0..<16 { w.floats[o * 16 * 9 + 4] = 0.1 * factor }
    let bench = try PlanBench(
      OperatorSample("a large weight", Conv(window: window), [x, w], constantInputs: [1]))
    let plan = try bench.plan(.inference)
    plan.forward()
    let expected = Conv(window: window).forward([x, w])[0].floats
    let untouched = expected.indices.filter { $0 >= 16 * 64 || $0 % 64 != 27 }
    let largest = untouched.reduce(0) { max($0, abs(expected[$1])) }
    let found = bench.output(0, of: plan)
    let error = untouched.reduce(0) { max($0, abs(found[$1] - expected[$1])) }
    #expect(error < 5e-5 * largest)
  }

  @Test(arguments: OperatorSample.trained)
  func trainingPlansAgreeWithThePullback(_ sample: OperatorSample) throws {
    try expectGradients(of: sample, .float32, within: 1e-4)
  }

  @Test(arguments: OperatorSample.shared)
  func sumsOfGradientsKeepTheirDigits(_ sample: OperatorSample) throws {
    try expectGradients(of: sample, .float32, within: 1e-6)
  }

  @Test(.enabled(if: canComputeBFloat16), arguments: OperatorSample.trained)
  func bfloat16GradientsAreClose(_ sample: OperatorSample) throws {
    try expectGradients(of: sample, .bfloat16, within: 3e-2)
  }

  /// Of inputs alone, in inference mode; `OperatorLaws` holds pullbacks to finite differences.
  @Test(arguments: OperatorSample.runnable)
  func inputGradientsAgreeWithThePullback(_ sample: OperatorSample) throws {
    let bench = try PlanBench(sample)
    let wanted = bench.graph.inputs.map(\.value)
    let plan = try bench.plan(.gradients, gradientsOf: wanted)
    _ = bench.gradients(of: plan)
    #expect(plan.parameterGradients.isEmpty)
    let pulled = sample.op.pullback(
      sample.inputs, sample.op.forward(sample.inputs), bench.directions)
    let given = sample.inputs.indices.filter { !sample.constantInputs.contains($0) }
    for (value, n) in zip(wanted, given) {
      let found = try #require(plan.valueGradients[value])
      let expected = pulled[n] ?? Tensor(shape: sample.inputs[n].shape, repeating: 0)
      let numbers = Array(UnsafeBufferPointer(start: found, count: expected.count))
      #expect(relativeDifference(numbers, expected.floats) < 1e-4, "input \(n)")
    }
  }

  private func expectGradients(of sample: OperatorSample, _ scalar: Scalar, within bound: Double)
    throws
  {
    let bench = try PlanBench(sample)
    let plan = try bench.plan(.training, scalar)
    let found = bench.gradients(of: plan)
    let outputs = sample.op.forward(sample.inputs)
    let expected = sample.op.pullback(sample.inputs, outputs, bench.directions)
    for (n, gradient) in expected.enumerated() {
      guard let gradient, let found = found[n] else { continue }
      #expect(relativeDifference(found, gradient.floats) < bound, "input \(n)")
    }
    #expect(!found.isEmpty)
  }

  /// Whichever thread is faster.
  @Test(arguments: OperatorSample.large, Scalar.computable)
  func gradientsAreTheSameEveryTime(_ sample: OperatorSample, _ scalar: Scalar) throws {
    let bench = try PlanBench(sample)
    let plan = try bench.plan(.training, scalar)
    let first = bench.gradients(of: plan)
    for _ in 0..<10 {
      let isSame = bench.gradients(of: plan) == first
      #expect(isSame)
    }
  }

  @Test(.enabled(if: canComputeBFloat16), arguments: OperatorSample.runnable)
  func bfloat16PlansAreClose(_ sample: OperatorSample) throws {
    let bench = try PlanBench(sample)
    let plan = try bench.plan(.inference, .bfloat16)
    plan.forward()
    for (n, expected) in sample.op.forward(sample.inputs).enumerated() {
      // bfloat16 keeps 8 bits; a sum of a few dozen products loses one or two of them.
      #expect(relativeDifference(bench.output(n, of: plan), expected.floats) < 3e-2, "output \(n)")
    }
  }
}

extension OperatorSample {
  /// Samples on floats that have an input computed at run time.
  static let runnable = (all + large).filter { sample in
    sample.inputs.allSatisfy(\.isFloat) && sample.constantInputs.count < sample.inputs.count
      && sample.op.forward(sample.inputs).allSatisfy(\.isFloat)
  }

  /// Batch statistics are another function: normalizations have a test of their own.
  static let trained = runnable.filter { !($0.op is BatchNormalization) }
}

/// A network of one operator; every other input is a network input plus a trained constant, so that
/// its gradient can be read.
struct PlanBench {
  let sample: OperatorSample
  let graph: Graph
  /// The trained constant that is added to an input, by input.
  let parameters: [Int: ValueID]
  /// What the outputs' gradients are taken to be.
  let directions: [Tensor]

  init(_ sample: OperatorSample) throws {
    var graph = Graph()
    var parameters: [Int: ValueID] = [:]
    var inputs: [ValueID] = []
    for (n, tensor) in sample.inputs.enumerated() {
      if sample.constantInputs.contains(n) {
        inputs.append(graph.addConstant("constant \(n)", tensor))
        continue
      }
      let input = graph.addValue("input \(n)")
      graph.inputs.append(.init(value: input, dimensions: tensor.shape.map { .fixed($0) }))
      let offset = graph.addConstant("offset \(n)", Tensor(shape: tensor.shape, repeating: 0))
      parameters[n] = offset
      inputs += graph.addNode("sum \(n)", Add(), [input, offset])
    }
    let outputs = graph.addNode("node", sample.op, inputs, outputCount: sample.outputCount)
    var directions: [Tensor] = []
    for (n, tensor) in sample.op.forward(sample.inputs).enumerated() {
      graph.outputs.append(.init(value: outputs[n], dimensions: tensor.shape.map { .fixed($0) }))
      directions.append(.random(tensor.shape, seed: 100 + n))
    }
    self.sample = sample
    self.graph = graph
    self.parameters = parameters
    self.directions = directions
  }

  func plan(_ mode: PlanMode, _ scalar: Scalar = .float32, gradientsOf wanted: [ValueID] = [])
    throws -> Plan
  {
    let plan = try Plan(graph, mode: mode, scalar: scalar, batch: 1, gradientsOf: wanted)
    let given = sample.inputs.indices.filter { !sample.constantInputs.contains($0) }
    for (buffer, n) in zip(plan.inputs, given) {
      buffer.update(from: sample.inputs[n].floats, count: sample.inputs[n].count)
    }
    return plan
  }

  /// Of a training plan, by input; after a forward and a backward pass.
  func gradients(of plan: Plan) -> [Int: [Float]] {
    plan.forward()
    for (n, direction) in directions.enumerated() {
      plan.outputGradients[n].update(from: direction.floats, count: direction.count)
    }
    plan.backward()
    let inputs = graph.nodes.last.map(\.inputs) ?? []
    var gradients: [Int: [Float]] = [:]
    for (n, value) in inputs.enumerated() {
      guard let found = plan.parameterGradients[parameters[n] ?? value] else { continue }
      gradients[n] = Array(UnsafeBufferPointer(start: found, count: sample.inputs[n].count))
    }
    return gradients
  }

  func output(_ n: Int, of plan: Plan) -> [Float] {
    Array(UnsafeBufferPointer(start: plan.outputs[n], count: plan.outputShapes[n].product))
  }
}
