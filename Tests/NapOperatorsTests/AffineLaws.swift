import NapGraph
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// What holds for every operator with a weight: what it says of its matrices is what it computes.
@Suite struct AffineLaws {
  static let samples = OperatorSample.all.filter { Self.shape(of: $0) != nil }

  private static func shape(of sample: OperatorSample) -> AffineShape? {
    guard let op = sample.op as? any AffineOperator, sample.constantInputs.contains(1) else {
      return nil
    }
    return op.affineShape(sample.inputs.map(\.shape))
  }

  @Test(arguments: samples) func patchesTimesMatricesAreTheOutput(_ sample: OperatorSample) throws {
    let op = try #require(sample.op as? any AffineOperator)
    let shape = try #require(Self.shape(of: sample))
    let (x, y) = (sample.inputs[0], sample.op.forward(sample.inputs)[0])
    let matrices = op.matrices(ofWeight: sample.inputs[1]).floats
    #expect(matrices.count == shape.groups * shape.outputs * shape.inputs)
    let bias = sample.inputs.count > 2 ? sample.inputs[2].floats : nil
    var found = [Float](repeating: 0, count: y.count)
    for n in 0..<x.shape[0] {
      for group in 0..<shape.groups {
        let (positions, patches) = patches(op, x, n, group, .all, shape)
        #expect(positions == shape.positions)
        for o in 0..<shape.outputs {
          for t in 0..<positions {
            var sum = Double((bias?[group * shape.outputs + o] ?? 0) * op.biasFactor)
            for i in 0..<shape.inputs {
              let weight = matrices[(group * shape.outputs + o) * shape.inputs + i]
              let p = op.patchesArePositionMajor ? t * shape.inputs + i : i * positions + t
              sum += Double(weight) * Double(patches[p])
            }
            let place =
              op.patchesArePositionMajor
              ? (n * positions + t) * shape.outputs + o
              : ((n * shape.groups + group) * shape.outputs + o) * positions + t
            found[place] = Float(sum)
          }
        }
      }
    }
    #expect(relativeDifference(found, y.floats) < 1e-5)
  }

  @Test(arguments: samples) func weightsComeBackFromTheirMatrices(_ sample: OperatorSample) throws {
    let op = try #require(sample.op as? any AffineOperator)
    let weight = sample.inputs[1]
    let back = op.weight(ofMatrices: op.matrices(ofWeight: weight), shape: weight.shape)
    #expect(back.shape == weight.shape)
    #expect(relativeDifference(back.floats, weight.floats) < 1e-6)
  }

  /// Every few positions of all, along every axis.
  @Test(arguments: samples, [2, 3]) func gridsAreSomeOfThePositions(
    _ sample: OperatorSample, _ step: Int
  ) throws {
    let op = try #require(sample.op as? any AffineOperator)
    let shape = try #require(Self.shape(of: sample))
    guard !op.patchesArePositionMajor else { return }
    let (x, y) = (sample.inputs[0], sample.op.forward(sample.inputs)[0])
    let sizes = Array(y.shape.dropFirst(2))
    for phase in 0..<step {
      let grid = PositionGrid(step: step, phases: sizes.map { _ in phase })
      let (_, all) = patches(op, x, 0, shape.groups - 1, .all, shape)
      let (count, some) = patches(op, x, 0, shape.groups - 1, grid, shape)
      let axes = sizes.map { size in
        Array(stride(from: min(phase, size - 1), to: size, by: step))
      }
      let chosen = axes.enumerated().reduce([0]) { positions, axis in
        positions.flatMap { before in axis.element.map { before * sizes[axis.offset] + $0 } }
      }
      #expect(count == chosen.count)
      for i in 0..<shape.inputs {
        for (k, position) in chosen.enumerated() {
          #expect(some[i * count + k] == all[i * shape.positions + position])
        }
      }
    }
  }

  private func patches(
    _ op: any AffineOperator, _ x: Tensor, _ example: Int, _ group: Int, _ grid: PositionGrid,
    _ shape: AffineShape
  ) -> (positions: Int, elements: [Float]) {
    // What is not written shows.
    var rows = [Float](repeating: .nan, count: shape.inputs * shape.positions)
    let positions = op.writePatches(
      of: x.floats, shape: x.shape, examples: example..<example + 1, group: group, grid: grid,
      into: &rows)
    return (positions, rows)
  }

  /// What a transposed convolution multiplies, counted one by one: every input meets every place of the
  /// kernel.
  @Test func transposedConvolutionsMultiplyEveryInputByTheKernel() {
    let op = ConvTranspose(window: Window(kernel: [4, 4], strides: [2, 2]), group: 2)
    let shapes = [[1, 6, 4, 4], [6, 5, 4, 4]]
    var count = 0
    for _ in 0..<6 * 4 * 4 { for _ in 0..<5 { for _ in 0..<4 * 4 { count += 1 } } }
    #expect(op.macs(inputs: shapes, outputs: [[1, 10, 10, 10]]) == count)
  }
}
