import NapEngine
import NapGraph
import NapKernels
import NapPruning
import NapSearch
import NapTensor
import NapTestSupport
import Testing

@testable import NapKit

/// Weights for candidates of any widths.
struct WeightProviderTests {
  private static let names = SmallNetwork.all.map(\.name)

  private func network(_ name: String) throws -> Graph {
    try #require(SmallNetwork.all.first { $0.name == name }).network.graph
  }

  private func widths(_ space: WidthSpace, _ seed: UInt64) -> [Int] {
    var random = Seed(seed).generator()
    return space.full.map { 1 + Int(Float($0) * random.uniform()) }.enumerated()
      .map { min($1, space.full[$0]) }
  }

  private func outputs(_ graph: Graph) throws -> [Float] {
    let shape = try graph.shapes(batch: 2)[graph.inputs[0].value.index]
    var random = Seed(9).generator()
    let x = Tensor(shape: shape, floats: (0..<shape.product).map { _ in random.uniform() - 0.5 })
    return try graph.outputs(of: x).flatMap(\.floats)
  }

  /// A network whose parameters are masked computes what the one computes that is cut, whether its weights are its
  /// own or generated; lifted, a mask leaves no trace.
  @Test(arguments: names, [false, true]) func masksAreCuts(_ name: String, _ isGenerated: Bool)
    throws
  {
    let graph = try network(name)
    let space = try WidthSpace(graph, cost: .macs, rounding: .single)
    let order = UnitOrder(try PruningModel(graph), AbsoluteMagnitude())
    let generator = try WeightGenerator(for: graph, space, seed: Seed(2))
    for seed in UInt64(1)...3 {
      let widths = widths(space, seed)
      let parameters = Parameters(graph)
      if isGenerated { generator.generate(widths, into: parameters) }
      let before = parameters.bits
      let gone = order.gone(at: widths)
      let small = try outputs(parameters.graph.removing(gone))
      let mask = WidthMask(graph, parameters)
      mask.apply(gone)
      let masked = try outputs(parameters.graph)
      mask.lift()
      #expect(zip(small, masked).allSatisfy { abs($0 - $1) <= 1e-5 * max(1, abs($0)) })
      #expect(parameters.bits == before)
      #expect(Network(try graph.removing(gone)).macs == space.cost(of: widths))
    }
  }

  /// A candidate with all widths full is the network.
  @Test(arguments: names) func fullWidthsAreTheNetwork(_ name: String) throws {
    let graph = try network(name)
    let space = try WidthSpace(graph, cost: .macs, rounding: .single)
    let model = try PruningModel(graph)
    let candidate = try CompensatedWeights(
      model: model, criterion: AbsoluteMagnitude(), space: space
    ).network(space.full)
    #expect(try outputs(candidate) == outputs(graph))
    let order = UnitOrder(model, AbsoluteMagnitude())
    #expect(order.gone(at: space.full).isEmpty)
  }

  /// Steps of a generator lower the distance of what it generates from what is wanted.
  @Test func generatorsLearn() throws {
    let graph = try network(Self.names[0])
    let space = try WidthSpace(graph, cost: .macs, rounding: .single)
    let generator = try WeightGenerator(for: graph, space, seed: Seed(2))
    let parameters = Parameters(graph)
    let wanted = graph.constants
    let weights = graph.affineLayers(shapes: try graph.shapes(batch: 1)).map { $0.node.inputs[1] }
    func distance(step: Double) -> Float {
      generator.generate(space.full, into: parameters)
      var sum: Float = 0
      var gradients: [ValueID: UnsafeMutablePointer<Float>] = [:]
      for weight in weights {
        guard let floats = wanted[weight]?.floats else { continue }
        let pointer = UnsafeMutablePointer<Float>.allocate(capacity: floats.count)
        for i in floats.indices {
          pointer[i] = parameters.pointer(weight)[i] - floats[i]
          sum += pointer[i] * pointer[i]
        }
        gradients[weight] = pointer
      }
      #expect(generator.step(gradients, learningRate: step))
      for pointer in gradients.values { pointer.deallocate() }
      return sum
    }
    let first = distance(step: 0.01)
    for _ in 0..<60 { _ = distance(step: 0.01) }
    #expect(distance(step: 0) < 0.1 * first)
  }
}
