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
