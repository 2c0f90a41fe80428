import NapGraph
import NapOperators
import NapTensor
import Testing

@Suite struct ReshapingTests {
  /// Units as text: `a1:0-2` is indices 0 to 2 of axis 1 of input a, `y` is the output.
  private func units(_ from: [Int], _ to: [Int]) throws -> [String] {
    let sample = OperatorSample("", Reshape(target: to), [.random(from)])
    return try CuttingBench(sample).units.map { unit in
      var byPlace: [String: [Int]] = [:]
      for (place, index) in unit {
        byPlace["\(place.value.index == 0 ? "x" : "y")\(place.axis)", default: []].append(index)
      }
      return byPlace.sorted { $0.key < $1.key }.map { place, indices in
        let last = indices.count == 1 ? "" : "-\(indices[indices.count - 1])"
        return "\(place):\(indices[0])\(last)"
      }.joined(separator: " ")
    }
  }

  @Test func equalAxesCorrespond() throws {
    #expect(
      try units([2, 3], [2, 3]) == [
        "x0:0 y0:0", "x0:1 y0:1", "x1:0 y1:0", "x1:1 y1:1", "x1:2 y1:2",
      ])
  }

  @Test func mergedAxesCorrespondInBlocksOfTheOutermost() throws {
    #expect(try units([3, 2, 2], [12]) == ["x0:0 y0:0-3", "x0:1 y0:4-7", "x0:2 y0:8-11"])
  }

  @Test func splitAxesCorrespondInBlocksOfTheOutermost() throws {
    #expect(try units([6], [3, 2]) == ["x0:0-1 y0:0", "x0:2-3 y0:1", "x0:4-5 y0:2"])
  }

  @Test func axesOfSizeOneDoNotHideWhatCorresponds() throws {
    #expect(try units([1, 3], [3, 1, 1]) == ["x1:0 y0:0", "x1:1 y0:1", "x1:2 y0:2"])
    #expect(try units([2, 1, 2], [4]) == ["x0:0 y0:0-1", "x0:1 y0:2-3"])
    #expect(try units([1, 4], [1, 2, 1, 2]) == ["x0:0 y0:0", "x1:0-1 y1:0", "x1:2-3 y1:1"])
  }

  @Test func axesThatMixAreFrozen() throws {
    #expect(try units([2, 6], [3, 4]) == [])
    #expect(try units([2, 2, 6], [2, 3, 4]) == ["x0:0 y0:0", "x0:1 y0:1"])
  }

  /// A cut of the given input and output axes, `1` and `1`, down to some indices.
  private func cut(_ from: [Int], _ to: [Int], keeping kept: [Int], and keptOutput: [Int])
    -> NodeCut
  {
    func indices(_ shape: [Int], _ kept: [Int]) -> [[Int]] {
      shape.indices.map { $0 == 1 ? kept : Array(0..<shape[$0]) }
    }
    return NodeCut(
      inputShapes: [from], outputShapes: [to], keptInputs: [indices(from, kept)],
      keptOutputs: [indices(to, keptOutput)])
  }

  @Test(arguments: [
    ([0, -1], [0, -1]), ([-1, 12], [-1, 8]), ([1, 12], [1, 8]), ([1, -1], [1, -1]),
    ([0, 12], [0, 8]),
  ])
  func cutTargetsKeepTheBatchAxisAsItWas(_ target: [Int], _ expected: [Int]) {
    let cut = cut([1, 3, 4], [1, 12], keeping: [0, 2], and: [0, 1, 2, 3, 8, 9, 10, 11])
    #expect(Reshape(target: target).adapted(to: cut).target == expected)
  }

  @Test func aCopiedSizeThatNoLongerMatchesBecomesANumber() {
    let cut = NodeCut(
      inputShapes: [[4, 2]], outputShapes: [[4, 2]], keptInputs: [[[0, 1, 2], [0, 1]]],
      keptOutputs: [[[0, 1], [0, 1]]])
    #expect(Reshape(target: [0, 2]).adapted(to: cut).target == [2, 2])
  }

  @Test func anUncutReshapeIsLeftAlone() {
    let whole = cut([1, 3, 4], [1, 12], keeping: [0, 1, 2], and: Array(0..<12))
    #expect(Reshape(target: [-1, 12]).adapted(to: whole).target == [-1, 12])
  }

  private func read(_ target: [Int], of shape: [Int], zeros: Bool = false) throws -> Reshape {
    let node = NodeDescription(
      name: "r", operatorType: "Reshape", opset: 17,
      attributes: zeros ? ["allowzero": .int(1)] : [:],
      inputs: [.init(shape: shape), .init(shape: [target.count], constant: Tensor(target))])
    return try #require(Reshape.importing(node).op as? Reshape)
  }

  @Test func twoProbesTellTheBatchAxis() throws {
    let copied = try read([2, 12], of: [2, 3, 4]).merged(with: read([3, 12], of: [3, 3, 4]))
    #expect(copied?.target == [0, 12])
    let moved = try read([24, 4], of: [2, 12, 4]).merged(with: read([36, 4], of: [3, 12, 4]))
    #expect(moved?.target == [-1, 4])
    let both = try read([2, -1], of: [2, 3, 4]).merged(with: read([3, -1], of: [3, 3, 4]))
    #expect(both?.target == [0, -1])
    let same = try read([0, -1], of: [2, 3, 4]).merged(with: read([0, -1], of: [3, 3, 4]))
    #expect(same?.target == [0, -1])
    let filled = try read([24, -1], of: [2, 12, 4]).merged(with: read([36, -1], of: [3, 12, 4]))
    #expect(filled?.target == [-1, 4])
    let literal = try read([2, 12], of: [2, 3, 4], zeros: true)
      .merged(with: read([3, 12], of: [3, 3, 4], zeros: true))
    #expect(literal?.target == [0, 12])
    #expect(literal?.allowsZero == false)
  }

  /// Views are exported as all of a flat tensor in order, in another shape.
  @Test func gatheringEverythingInOrderIsAReshape() throws {
    func imported(_ indices: [Int]) throws -> any Operator {
      let tensor = Tensor(indices).reshaped(to: [3, 2])
      let node = NodeDescription(
        name: "g", operatorType: "Gather", opset: 17,
        inputs: [.init(shape: [6]), .init(shape: [3, 2], constant: tensor)])
      return try Gather.importing(node).op
    }
    #expect(try (imported(Array(0..<6)) as? Reshape)?.target == [3, 2])
    #expect(try imported([0, 1, 2, 3, 5, 4]) is Gather)
  }

  @Test func probesThatNoTargetServesAreNotMerged() throws {
    #expect(
      try read([24, 2, -1], of: [2, 12, 4]).merged(with: read([36, 4, -1], of: [3, 12, 4])) == nil)
    #expect(try read([2, 12], of: [2, 12]).merged(with: read([3, 12, 1], of: [3, 12])) == nil)
  }

  @Test(arguments: [
    ([-1, -1], "shape [1, -1] is not a valid size"), ([5, -1], "cannot reshape [2, 3] to [5, -1]"),
    ([0, 0, 0], "target [0, 0, 0] copies axis 2, which [2, 3] lacks"),
    ([7], "cannot reshape [2, 3] to [7]"),
  ])
  func impossibleTargetsAreNamed(_ target: [Int], _ problem: String) {
    #expect(throws: OperatorError(problem)) { try Reshape(target: target).infer([[2, 3]]) }
  }
}
