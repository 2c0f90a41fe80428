import Foundation
import NapCurvature
import NapEngine
import NapGraph
import NapKernels
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// Kronecker factors against sums written out from the plain specification.
@Suite struct KroneckerFactorsTests {
  /// `float32` sums of a few hundred terms against double precision.
  private let tolerance = 1e-4

  private func expectClose(_ a: Matrix, _ b: Matrix, _ what: String) {
    #expect(a.rows == b.rows && a.columns == b.columns)
    let largest = b.elements.map(abs).max() ?? 1
    let difference = zip(a.elements, b.elements).map { abs($0 - $1) }.max() ?? 0
    #expect(difference <= tolerance * largest, "\(what)")
  }

  /// Inputs, labels and per-example gradients of every value, by the operators' pullbacks.
  private func gradients(_ graph: Graph, _ x: Tensor, _ label: Int) -> (
    values: [Tensor?], gradients: [Tensor?]
  ) {
    graph.gradients([x]) { outputs in
      let logits = outputs[0].floats
      let total = logits.reduce(0) { $0 + exp($1) }
      let p = logits.map { exp($0) / total }
      return [
        Tensor(
          shape: [1, logits.count], floats: p.enumerated().map { $1 - ($0 == label ? 1 : 0) })
      ]
    }
  }

  @Test(arguments: SmallNetwork.all.map(\.name), [Int.max, 7])
  func factorsAreTheSumsWrittenOut(_ name: String, _ blockSize: Int) throws {
    var network = try #require(SmallNetwork.all.first { $0.name == name }).network
    let graph = network.graph
    let (count, labels) = (6, [0, 1, 2, 0, 1, 2])
    let x = network.tensor([count, 2, 4, 4])
    let estimator = try CurvatureEstimator(
      graph, kind: .labels, batch: 3, largestFactor: blockSize, threads: 2, seed: Seed(1))
    for part in 0..<2 {
      let half = Array(x.floats[(part * 96)..<((part + 1) * 96)])
      estimator.add(half, labels: Array(labels[(3 * part)..<(3 * part + 3)]))
    }
    let factors = estimator.takeFactors()
    let examples = (0..<count).map { n in
      gradients(
        graph, Tensor(shape: [1, 2, 4, 4], floats: Array(x.floats[(n * 32)..<((n + 1) * 32)])),
        labels[n])
    }
    let layers = graph.affineLayers(shapes: try graph.shapes(batch: 1))
    #expect(Set(factors.keys) == Set(layers.map(\.index)))
    for layer in layers {
      let found = try #require(factors[layer.index])
      var exact = 0.0
      for (values, cotangents) in examples {
        // All nodes that read the weight, before squaring; biases of their own are none of it.
        let slope = try layer.readers.reduce(0.0) { sum, reader in
          let gradient = try #require(cotangents[reader.node.outputs[0].index]).floats
          let z = try #require(values[reader.node.outputs[0].index])
          let positions = z.shape.dropFirst(2).product
          let bias = layer.biasesAgree ? nil : graph.constants[reader.node.inputs[2]]?.floats
          return z.floats.indices.reduce(sum) { sum, i in
            let own = bias.map { $0[i / positions % $0.count] } ?? 0
            return sum + Double(gradient[i]) * Double(z.floats[i] - own)
          }
        }
        exact += slope * slope / Double(count)
      }
      #expect(abs(found.exactCurvature - exact) < 1e-3 * exact, "\(layer.node.name)")
      for group in 0..<layer.shape.groups {
        var a = Matrix(rows: layer.shape.inputs + 1, columns: layer.shape.inputs + 1)
        var g = Matrix(rows: layer.shape.outputs, columns: layer.shape.outputs)
        for (values, cotangents) in examples {
          for reader in layer.readers {
            let input = try #require(values[reader.node.inputs[0].index])
            let gradient = try #require(cotangents[reader.node.outputs[0].index]).floats
            add(reader, group, input, gradient, blockSize, to: &a, &g)
          }
        }
        for i in a.elements.indices { a.elements[i] /= Double(count) }
        for i in g.elements.indices { g.elements[i] /= Double(count * layer.shape.positions) }
        expectClose(found.groups[group].a.dense, a, "\(layer.node.name): A of group \(group)")
        expectClose(found.groups[group].g, g, "\(layer.node.name): G of group \(group)")
      }
    }
  }

  /// Adds what one node sees of one example to `Σ a aᵀ` and `Σ g gᵀ`.
  private func add(
    _ reader: AffineLayer.Reader, _ group: Int, _ input: Tensor, _ gradient: [Float],
    _ blockSize: Int, to a: inout Matrix, _ g: inout Matrix
  ) {
    let (op, shape) = (reader.op, reader.shape)
    var patches = [Float](repeating: 0, count: shape.inputs * shape.positions)
    op.writePatches(
      of: input.floats, shape: input.shape, examples: 0..<1, group: group, grid: .all,
      into: &patches)
    for t in 0..<shape.positions {
      let column =
        (0..<shape.inputs).map {
          Double(
            op.patchesArePositionMajor
              ? patches[t * shape.inputs + $0] : patches[$0 * shape.positions + t])
        } + [1]
      for block in shape.blocks(upTo: blockSize) {
        for i in block { for j in block { a[i, j] += column[i] * column[j] } }
      }
      let rows = (0..<shape.outputs).map {
        Double(gradient[(group * shape.outputs + $0) * shape.positions + t])
      }
      for i in rows.indices { for j in rows.indices { g[i, j] += rows[i] * rows[j] } }
    }
  }

  /// With one linear layer and one example, `A ⊗ G` is the Fisher matrix itself.
  @Test func calibrationIsOneWhereTheFactorsAreExact() throws {
    var network = SmallNetwork()
    let x = network.input([3])
    network.output(network.linear(x, 3, 3, "classifier"), [3])
    let estimator = try CurvatureEstimator(network.graph, kind: .labels, batch: 1, seed: Seed(1))
    estimator.add(network.tensor([1, 3]).floats, labels: [2])
    let factors = try #require(estimator.takeFactors()[0])
    let w = try #require(network.graph.constants[network.constant("classifier.w")]).floats
    let b = try #require(network.graph.constants[network.constant("classifier.b")]).floats
    var matrix = Matrix(rows: 3, columns: 4)
    for i in 0..<3 {
      for j in 0..<3 { matrix[i, j] = Double(w[i * 3 + j]) }
      matrix[i, 3] = Double(b[i])
    }
    let moments = factors.outputMoments(of: [matrix])
    #expect(abs(factors.calibration(outputMoments: moments) - 1) < 1e-4)
  }

  /// The sampled cotangents have the covariance of the model's predictions.
  ///
  /// A statistical test: 20,000 draws, entries of size 0.2, so a standard error of about 0.002.
  @Test func sampledCotangentsHaveTheCurvatureOfObjective() throws {
    var network = SmallNetwork()
    let x = network.input([3])
    network.output(network.linear(x, 3, 3, "classifier"), [3])
    let image = network.tensor([1, 3])
    let logits = network.graph.evaluate([image])[0].floats
      .map { Double($0 / CurvatureKind.temperature) }
    let total = logits.reduce(0) { $0 + exp($1) }
    let p = logits.map { exp($0) / total }
    let batch = 1000
    let estimator = try CurvatureEstimator(network.graph, batch: batch, seed: Seed(1))
    let images = (0..<batch).flatMap { _ in image.floats }
    for _ in 0..<20 { estimator.add(images) }
    let g = try #require(estimator.takeFactors()[0]).groups[0].g
    for i in 0..<3 {
      for j in 0..<3 {
        let expected = (i == j ? p[i] : 0) - p[i] * p[j]
        #expect(abs(g[i, j] - expected) < 0.01)
      }
    }
  }

  @Test func weightsCountGradientsAndLeaveInputsAsTheyCome() throws {
    var network = SmallNetwork()
    let x = network.input([3])
    network.output(network.linear(x, 3, 3, "classifier"), [3])
    let images = network.tensor([2, 3]).floats
    func groups(_ weights: [Double]) throws -> KroneckerFactors.Group {
      let estimator = try CurvatureEstimator(network.graph, batch: 2, seed: Seed(1))
      estimator.add(images, weights: weights)
      return try #require(estimator.takeFactors()[0]).groups[0]
    }
    let (plain, first, second) = (try groups([]), try groups([3, 0]), try groups([0, 0.5]))
    for (k, g) in plain.g.elements.enumerated() {
      #expect(abs(first.g.elements[k] / 3 + second.g.elements[k] / 0.5 - g) < 1e-6)
    }
    #expect(first.a.dense.elements == plain.a.dense.elements)
    #expect(first.g.elements != plain.g.elements)
  }

  @Test func factorsOfOneNodeAreThoseCollectedWithAll() throws {
    var network = try #require(SmallNetwork.all.first { $0.name == "residual" }).network
    let images = network.tensor([2, 2, 4, 4]).floats
    let nodes = network.graph.affineLayers(shapes: try network.graph.shapes(batch: 1)).map(\.index)
    func factors(_ nodes: Set<Int>?) throws -> [Int: KroneckerFactors] {
      let estimator = try CurvatureEstimator(network.graph, batch: 2, nodes: nodes, seed: Seed(1))
      estimator.add(images)
      return estimator.takeFactors()
    }
    let (all, one) = (try factors(nil), try factors([nodes[1]]))
    #expect(all.keys.sorted() == nodes)
    #expect(Array(one.keys) == [nodes[1]])
    let (expected, found) = (try #require(all[nodes[1]]), try #require(one[nodes[1]]))
    #expect(found.groups.map(\.a.dense) == expected.groups.map(\.a.dense))
    #expect(found.groups.map(\.g) == expected.groups.map(\.g))
  }

  @Test func dampedInversesInvert() {
    var random = Seed(3).generator()
    var rows = Matrix(rows: 12, columns: 6)
    for i in rows.elements.indices { rows.elements[i] = Double(random.uniform()) - 0.5 }
    let factor = BlockDiagonalMatrix(rows.transposed * rows)
    let inverse = KroneckerFactors.Group.dampedInverse(of: factor, 1e-3)
    let product = KroneckerFactors.Group.damped(factor, 1e-3).dense * inverse
    for i in 0..<6 { for j in 0..<6 { #expect(abs(product[i, j] - (i == j ? 1 : 0)) < 1e-10) } }
  }
}
