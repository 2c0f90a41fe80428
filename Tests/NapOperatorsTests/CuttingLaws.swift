import NapGraph
import NapTensor
import NapTestSupport
import Testing

/// The law that structured pruning rests on: cutting before an operator is cutting after it.
@Suite struct CuttingLaws {
  @Test(arguments: OperatorSample.all)
  func cuttingCommutesWithTheOperator(_ sample: OperatorSample) throws {
    let bench = try CuttingBench(sample)
    #expect(bench.units.isEmpty == sample.isRigid)
    for unit in bench.units { try bench.check([unit]) }
  }

  @Test(arguments: OperatorSample.all)
  func cuttingManyUnitsAtOnceCommutes(_ sample: OperatorSample) throws {
    let bench = try CuttingBench(sample)
    for trial in 0..<8 {
      var generator = Seed(3).derived(trial).generator()
      let chosen = bench.units.shuffled(using: &generator).prefix(bench.units.count / 2)
      try bench.check(Array(chosen))
    }
  }
}

/// A graph of one operator whose inputs are constants, so that every index may be cut which the
/// operator itself does not hold.
struct CuttingBench {
  typealias Unit = [(place: IndexAtoms.Place, index: Int)]

  let sample: OperatorSample
  let graph: Graph
  let node: Node
  let shapes: [[Int]]
  /// Indices that go together, class by class.
  private(set) var units: [Unit] = []

  init(_ sample: OperatorSample) throws {
    var graph = Graph()
    let inputs = sample.inputs.enumerated().map { graph.addConstant("input \($0)", $1) }
    _ = graph.addNode("node", sample.op, inputs, outputCount: sample.outputCount)
    self.sample = sample
    self.graph = graph
    node = graph.nodes[0]
    var atoms = try IndexAtoms(graph)
    shapes = atoms.shapes
    var classes: [Int: Unit] = [:]
    for (value, shape) in shapes.enumerated() {
      for (axis, size) in shape.enumerated() {
        let place = IndexAtoms.Place(value: ValueID(value), axis: axis)
        for index in 0..<size where atoms.frozenReason(atoms.atom(place, index)) == nil {
          classes[atoms.find(atoms.atom(place, index)), default: []].append((place, index))
        }
      }
    }
    units = classes.sorted { $0.key < $1.key }.map(\.value)
  }

  /// Expects the cut operator on cut inputs to give the cut of what the whole operator gives when
  /// the indices to be cut hold zeros. Sets that would empty an axis are skipped.
  func check(_ cut: [Unit]) throws {
    var removed: [IndexAtoms.Place: [Int]] = [:]
    for (place, index) in cut.joined() { removed[place, default: []].append(index) }
    for place in removed.keys { removed[place]?.sort() }
    let emptied = removed.contains { $1.count == shapes[$0.value.index][$0.axis] }
    guard !emptied else { return }

    let smaller = try graph.removing(removed)
    let results = smaller.nodes[0].op.forward(
      try node.inputs.map { try #require(smaller.constants[$0]) })

    let zeroed = zip(node.inputs, sample.inputs).map { value, tensor in
      removed.filter { $0.key.value == value }.reduce(tensor) {
        $0.zeroing($1.value, axis: $1.key.axis)
      }
    }
    let expected = zip(node.outputs, sample.op.forward(zeroed)).map { value, tensor in
      removed.filter { $0.key.value == value }.reduce(tensor) { result, cut in
        let kept = (0..<tensor.shape[cut.key.axis]).filter { !cut.value.contains($0) }
        return result.selecting(kept, axis: cut.key.axis)
      }
    }
    for (result, expected) in zip(results, expected) {
      #expect(result.shape == expected.shape, "without \(removed)")
      #expect(result.integers == expected.integers, "without \(removed)")
      #expect(relativeDifference(result.floats, expected.floats) < 1e-5, "without \(removed)")
    }
  }
}

extension Tensor {
  /// The tensor with zeros at some indices of an axis.
  fileprivate func zeroing(_ indices: [Int], axis: Int) -> Tensor {
    let inner = shape[(axis + 1)...].reduce(1, *)
    func isZeroed(_ position: Int) -> Bool { indices.contains(position / inner % shape[axis]) }
    return isFloat
      ? Tensor(shape: shape, floats: floats.enumerated().map { isZeroed($0) ? 0 : $1 })
      : Tensor(
        shape: shape, integers: integers.enumerated().map { isZeroed($0) ? 0 : $1 },
        elementType: elementType)
  }
}
