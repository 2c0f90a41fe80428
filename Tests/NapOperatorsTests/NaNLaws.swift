import NapEngine
import NapGraph
import NapKernels
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// A number that is none stays none: whatever depends on it is NaN, as IEEE 754 and ONNX Runtime have it.
///
/// Positions and integers cannot say NaN: of operators that choose, the first NaN comes before all
/// numbers, so that it is seen by who looks at what has been chosen.
@Suite struct NaNLaws {
  /// What depends on a number is what changes when the number does.
  @Test(arguments: OperatorSample.propagating.filter { $0.inputs.allSatisfy { $0.count < 1000 } })
  func whatDependsOnNaNIsNaN(_ sample: OperatorSample) {
    let outputs = sample.op.forward(sample.inputs)
    for (n, place) in sample.places {
      var depends = outputs.map { [Bool](repeating: false, count: $0.count) }
      for number: Float in [-100, -3, -0.7, 0.7, 3, 100] {
        let changed = sample.op.forward(sample.inputs(with: number, at: place, of: n))
        for k in outputs.indices {
          for i in depends[k].indices where !(changed[k].floats[i] == outputs[k].floats[i]) {
            depends[k][i] = true
          }
        }
      }
      let found = sample.op.forward(sample.inputs(with: .nan, at: place, of: n))
      for k in outputs.indices {
        let hides = zip(depends[k], found[k].floats).contains { $0 && !$1.isNaN }
        #expect(!hides, "output \(k), element \(place) of input \(n)")
      }
    }
  }

  @Test(arguments: OperatorSample.propagating + OperatorSample.large, Scalar.computable)
  func plansSayNaNWhereTheSpecificationDoes(_ sample: OperatorSample, _ scalar: Scalar) throws {
    for (n, place) in sample.places {
      var broken = sample
      broken.inputs = sample.inputs(with: .nan, at: place, of: n)
      let bench = try PlanBench(broken)
      let plan = try bench.plan(.inference, scalar)
      plan.forward()
      for (k, expected) in broken.op.forward(broken.inputs).enumerated() {
        let found = bench.output(k, of: plan)
        let hides = zip(expected.floats, found).contains { $0.isNaN && !$1.isNaN }
        #expect(!hides, "output \(k), element \(place) of input \(n)")
      }
    }
  }

  /// Kernels that hide NaN are used where there can be none.
  @Test(arguments: OperatorSample.propagating) func whatStaysFiniteDoes(_ sample: OperatorSample) {
    let constants = sample.inputs.indices.map {
      sample.constantInputs.contains($0) ? sample.inputs[$0] : nil
    }
    guard sample.op.staysFinite(constants: constants) else { return }
    for (n, place) in sample.places where !sample.constantInputs.contains(n) {
      for number: Float in [0, -1, 1, 1e4, -1e4] {
        let outputs = sample.op.forward(sample.inputs(with: number, at: place, of: n))
        #expect(outputs.allSatisfy { $0.floats.allSatisfy(\.isFinite) }, "\(number)")
        // Wherever it is the same everywhere.
        var inputs = sample.inputs
        inputs[n].floats = inputs[n].floats.map { _ in number }
        #expect(sample.op.forward(inputs).allSatisfy { $0.floats.allSatisfy(\.isFinite) }, "\(number)")
      }
    }
  }

  /// What another operator has made of finite numbers is not hidden by what is applied on the way out.
  @Test(arguments: [(3, 5), (16, 8), (32, 4)], [1, 3]) func fusedFunctionsKeepNaN(
    _ size: (channels: Int, side: Int), _ kernel: Int
  ) throws {
    for (op, isNormalized) in [
      (Relu(), false), (Clip(lower: 0, upper: 6), false), (Relu(), true),
    ] as [(any Operator, Bool)] {
      let weight = Tensor.random([size.channels, size.channels, kernel, kernel])
      var n = SmallNetwork(seed: 5)
      let x = n.input([size.channels, size.side, size.side])
      let window = Window(
        kernel: [kernel, kernel],
        padding: .explicit(begin: [kernel / 2, kernel / 2], end: [kernel / 2, kernel / 2]))
      let logarithm = n.apply(Log(), x, name: "log")
      let sum =
        isNormalized
        ? n.normalization(logarithm, size.channels, "bn")
        : n.apply(Conv(window: window), logarithm, n.graph.addConstant("w", weight), name: "conv")
      let y = n.apply(op, sum, name: "limit")
      n.output(y, [size.channels, size.side, size.side])
      let plan = try Plan(n.graph, batch: 1)
      let count = size.channels * size.side * size.side
      for i in 0..<count { plan.inputs[0][i] = i == count / 2 ? -1 : 1 }
      plan.forward()
      #expect((0..<count).contains { plan.outputs[0][$0].isNaN })
    }
  }

  /// What oneDNN's pools drop in training.
  @Test(arguments: [3, 16]) func poolsKeepNaNInTraining(_ channels: Int) throws {
    var n = SmallNetwork(seed: 5)
    let logarithm = n.apply(Log(), n.input([channels, 4, 4]), name: "log")
    let weight = Tensor.random([channels, channels, 1, 1])
    let sum = n.apply(
      Conv(window: Window(kernel: [1, 1])), logarithm, n.graph.addConstant("w", weight), name: "conv")
    let pool = n.apply(
      MaxPool(window: Window(kernel: [2, 2], strides: [2, 2])), sum, name: "pool")
    n.output(pool, [channels, 2, 2])
    for mode in [PlanMode.inference, .training] {
      let plan = try Plan(n.graph, mode: mode, batch: 1)
      for i in 0..<16 * channels { plan.inputs[0][i] = i == 0 ? -1 : 1 }
      plan.forward()
      #expect((0..<4 * channels).contains { plan.outputs[0][$0].isNaN })
    }
  }

  /// A choice takes NaN first.
  @Test func choicesTakeNaNFirst() {
    let x = Tensor(shape: [1, 4], floats: [1, .nan, 3, 2])
    #expect(ArgMax(axis: 1).forward([x])[0].floats == [1])
    #expect(ArgMin(axis: 1).forward([x])[0].floats == [1])
    for isLargest in [true, false] {
      let chosen = TopK(count: 2, axis: 1, isLargest: isLargest).forward([x])
      #expect(chosen[0].floats[0].isNaN)
      #expect(chosen[1].floats == [1, isLargest ? 2 : 0])
    }
  }
}

extension OperatorSample {
  /// Samples on floats whose results can say NaN; that no number is larger than NaN is the truth.
  static let propagating = all.filter { sample in
    sample.inputs.allSatisfy(\.isFloat) && sample.constantInputs.count < sample.inputs.count
      && sample.op.forward(sample.inputs).allSatisfy(\.isFloat)
      && !(sample.op is any PositionOperator) && !(sample.op is Greater)
  }

  /// Some elements of the inputs: the first, the last and one between.
  fileprivate var places: [(input: Int, element: Int)] {
    inputs.enumerated().flatMap { n, tensor in
      Set([0, tensor.count / 2, tensor.count - 1]).sorted().map { (n, $0) }
    }
  }

  fileprivate func inputs(with number: Float, at element: Int, of input: Int) -> [Tensor] {
    var result = inputs
    result[input].floats[element] = number
    return result
  }
}
