import NapGraph
import NapOperators
import NapTensor
import Testing

@Suite struct MovementTests {
  private let counting = Tensor([0, 1, 2, 3, 4, 5, 6])

  @Test(arguments: [
    (0, Int.max, 1, [0, 1, 2, 3, 4, 5, 6]), (-2, Int.max, 1, [5, 6]), (1, -3, 2, [1, 3]),
    (10, 20, 1, []), (-1, Int.min, -3, [6, 3, 0]), (-100, 3, 1, [0, 1, 2]), (3, 100, -1, []),
    (100, -100, -1, [6, 5, 4, 3, 2, 1, 0]), (2, Int.max, Int.max, [2]), (2, Int.min, Int.min, [2]),
    (-100, Int.min, -1, [0]),
  ])
  func slicesAreThoseOfNumPy(_ start: Int, _ end: Int, _ step: Int, _ expected: [Int]) {
    let slice = Slice([.init(axis: 0, start: start, end: end, step: step)])
    #expect(slice.forward([counting]) == [Tensor(expected)])
  }

  @Test func aStepOfZeroIsRefused() {
    #expect(throws: OperatorError("the step of axis 0 is 0")) {
      try Slice([.init(axis: 0, start: 0, end: 1, step: 0)]).infer([[3]])
    }
  }

  /// A batch axis that is sliced as a whole must not become a number.
  @Test func wholeAxesStayWholeWhenOthersAreCut() {
    let slice = Slice([
      .init(axis: 0, start: 0, end: .max), .init(axis: 1, start: 1, end: -1),
    ])
    let cut = NodeCut(
      inputShapes: [[1, 6]], outputShapes: [[1, 4]], keptInputs: [[[0], [0, 2, 3, 5]]],
      keptOutputs: [[[0], [1, 2]]])
    #expect(
      slice.adapted(to: cut).ranges == [
        .init(axis: 0, start: 0, end: .max), .init(axis: 1, start: 1, end: 3),
      ])
  }

  @Test func padsFollowTheIndicesThatAreKept() {
    let cut = NodeCut(
      inputShapes: [[2]], outputShapes: [[7]], keptInputs: [[[1]]], keptOutputs: [[[1, 3, 4, 6]]])
    let pad = Pad(before: [2], after: [3]).adapted(to: cut)
    #expect([pad.before, pad.after] == [[1], [2]])
  }

  @Test(arguments: [
    (Pad.Mode.reflect, 2, 1, [2, 1, 0, 1, 2, 3, 2]), (.reflect, 0, 3, [0, 1, 2, 3, 2, 1, 0]),
    (.edge, 2, 1, [0, 0, 0, 1, 2, 3, 3]), (.edge, 0, 5, [0, 1, 2, 3, 3, 3, 3, 3, 3]),
    (.wrap, 2, 1, [2, 3, 0, 1, 2, 3, 0]), (.wrap, 5, 0, [3, 0, 1, 2, 3, 0, 1, 2, 3]),
  ])
  func padsAreThoseOfNumPy(_ mode: Pad.Mode, _ before: Int, _ after: Int, _ expected: [Int]) {
    let pad = Pad(before: [before], after: [after], mode: mode)
    #expect(pad.forward([Tensor([0, 1, 2, 3])]) == [Tensor(expected)])
  }

  /// As ONNX Runtime does.
  @Test func padsWithNothingToCopyAreRefused() {
    for (mode, size) in [(Pad.Mode.reflect, 2), (.reflect, 0), (.edge, 0), (.wrap, 0)] {
      for (before, after) in [(2, 0), (0, 2)] {
        #expect(throws: OperatorError.self) {
          try Pad(before: [before], after: [after], mode: mode).infer([[size]])
        }
      }
      #expect(throws: Never.self) { try Pad(before: [0], after: [0], mode: mode).infer([[size]]) }
    }
  }

  /// A mirror stands at the first and the last index; the others are free.
  @Test func mirrorsHoldTheIndicesTheyStandAt() {
    func frozen(_ pad: Pad) -> [Int] {
      var links = IndexLinks(
        inputShapes: [[4]], outputShapes: [[4 + pad.before[0] + pad.after[0]]])
      pad.link(&links)
      return links.frozen.flatMap(\.atoms).map(\.index)
    }
    #expect(frozen(Pad(before: [2], after: [1], mode: .reflect)) == [0, 3])
    #expect(frozen(Pad(before: [0], after: [1], mode: .reflect)) == [3])
    #expect(frozen(Pad(before: [0], after: [0], mode: .reflect)) == [])
    #expect(frozen(Pad(before: [2], after: [1], mode: .edge)) == [])
  }

  @Test func splitSizesFollowTheirOutputs() {
    let cut = NodeCut(
      inputShapes: [[1, 5]], outputShapes: [[1, 2], [1, 3]], keptInputs: [[[0], [1, 2, 4]]],
      keptOutputs: [[[0], [1]], [[0], [0, 2]]])
    #expect(Split(axis: -1, sizes: [2, 3]).adapted(to: cut).sizes == [1, 2])
  }

  @Test func integerDivisionIsDefinedForAllNumbers() {
    let quotients = Div().forward([
      Tensor(shape: [4], integers: [7, -7, 5, .min]), Tensor(shape: [4], integers: [2, 2, 0, -1]),
    ])
    #expect(quotients == [Tensor(shape: [4], integers: [3, -3, 0, .min])])
  }

  @Test func castsBringNumbersIntoRange() {
    let x = Tensor(shape: [5], floats: [1.9, -1.9, .nan, .infinity, -1e30])
    #expect(Cast(to: .int64).forward([x])[0].integers == [1, -1, 0, .max, .min])
    #expect(Cast(to: .bool).forward([x])[0].integers == [1, 1, 1, 1, 1])
    let large = Tensor(shape: [1], integers: [1 << 32 + 5])
    #expect(Cast(to: .int32).forward([large])[0].integers == [5])
  }

  @Test func notANumberIsNotHidden() {
    let nan = Tensor(shape: [1], floats: [.nan])
    for op in [Relu(), LeakyRelu(), Clip(lower: 0, upper: 6), Sigmoid()] as [any Operator] {
      #expect(op.forward([nan])[0].floats[0].isNaN, "\(op.name)")
    }
  }
}
