import NapCurvature
import NapGraph
import NapKernels
import NapOperators
import NapTensor
import NapTestSupport
import Testing

@Suite struct ActivationMaximizationTests {
  /// `conv a (4)` behind which nothing but a rectifier and a classifier are: the second filter is the
  /// first, the third is zero.
  private func twins() throws -> (graph: Graph, weight: Tensor) {
    var network = SmallNetwork(seed: 3)
    let x = network.input([3, 8, 8])
    let a = network.apply(
      Relu(), network.conv(x, [4, 3, 3, 3], bias: true, "a"), name: "a.relu")
    let pooled = network.apply(
      Flatten(), network.apply(GlobalAveragePool(), a, name: "pool"), name: "flatten")
    network.output(network.linear(pooled, 4, 3, "classifier"), [3])
    let (weight, bias) = (network.constant("a.w"), network.constant("a.b"))
    var filters = try #require(network.graph.constants[weight])
    var biases = try #require(network.graph.constants[bias])
    for i in 0..<27 {
      filters.floats[27 + i] = filters.floats[i]
      filters.floats[54 + i] = 0
    }
    biases.floats[1] = biases.floats[0]
    network.graph.constants[weight] = filters
    network.graph.constants[bias] = biases
    return (network.graph, filters)
  }

  private func functions(_ graph: Graph, layer: Int) throws -> FilterFunctions? {
    let layers = graph.affineLayers(shapes: try graph.shapes(batch: graph.batchSize(1)))
    guard let response = try FilterResponse(of: layers[layer], in: graph) else { return nil }
    return try ActivationMaximization(response, of: graph, seed: Seed(4)).run()
  }

  /// What a filter of the first layer answers most to is the filter, as large as it is.
  @Test func imagesOfLinearFiltersAreTheFilters() throws {
    let (graph, weight) = try twins()
    let found = try #require(try functions(graph, layer: 0))
    #expect(found.images.shape == [4, 3, 3, 3])
    #expect(found.silent == [2])
    for filter in [0, 1, 3] {
      let range = filter * 27..<(filter + 1) * 27
      let (image, weights) = (found.images.floats[range], weight.floats[range])
      func dot(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Float {
        zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
      }
      let cosine = dot(image, weights) / (dot(image, image) * dot(weights, weights)).squareRoot()
      #expect(cosine > 0.98, "\(filter)")
    }
  }

  @Test(arguments: [FunctionSimilarity.pixels, .answers])
  func twinsAreNearAndTheSilentFar(_ similarity: FunctionSimilarity) throws {
    let found = try #require(try functions(try twins().graph, layer: 0))
    let distances = found.distances(by: similarity)
    #expect(distances[0, 1] < 1e-3)
    #expect(distances[2, 0] == 1)
    #expect(distances[3, 0] > 0.1)
  }

  @Test func activationsOfTwinsCorrelate() throws {
    let (graph, _) = try twins()
    var network = SmallNetwork(seed: 5)
    let x = network.tensor([4, 3, 8, 8])
    let layers = graph.affineLayers(shapes: try graph.shapes(batch: 1))
    let response = try #require(try FilterResponse(of: layers[0], in: graph))
    let correlations = try ActivationCorrelations(graph, of: [layers[0].index: response], batch: 2)
    // A batch after the other is the same as all at once, as the specification has it.
    try x.floats.withUnsafeBufferPointer { buffer in
      let start = try #require(buffer.baseAddress)
      for n in 0..<2 { correlations.add([start + n * 2 * 192]) }
    }
    let distances = try #require(correlations.distances()[layers[0].index])
    let values = try graph.truncated(to: [response.value]).evaluate([x])[0]
    func series(_ k: Int) -> [Double] {
      let numbers = (0..<4).flatMap { n in
        (0..<64).map { Double(values.floats[(n * 4 + k) * 64 + $0]) }
      }
      let mean = numbers.reduce(0, +) / Double(numbers.count)
      return numbers.map { $0 - mean }
    }
    func dot(_ i: Int, _ k: Int) -> Double {
      zip(series(i), series(k)).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let expected = 1 - max(0, dot(0, 3) / (dot(0, 0) * dot(3, 3)).squareRoot())
    #expect(abs(distances[0, 3] - expected) < 1e-4)
    #expect(distances[0, 1] < 1e-5)
    #expect(distances[0, 2] == 1)
  }

  /// Of whatever shape and order: images, sequences, rows of tokens.
  @Test(arguments: (SmallNetwork.all + SmallNetwork.reshaping).map(\.name))
  func everyNetworkIsTaken(_ name: String) throws {
    let networks = SmallNetwork.all + SmallNetwork.reshaping
    let graph = try #require(networks.first { $0.name == name }).network.graph
    let count = graph.affineLayers(shapes: try graph.shapes(batch: 1)).count
    for layer in 0..<count {
      guard let found = try functions(graph, layer: layer) else { continue }
      let isFinite =
        found.images.floats.allSatisfy(\.isFinite) && found.answers.elements.allSatisfy(\.isFinite)
      #expect(isFinite)
      let again = try functions(graph, layer: layer)
      #expect(again?.images == found.images)
      #expect(again?.answers == found.answers)
    }
  }
}
