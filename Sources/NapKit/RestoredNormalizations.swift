package import NapData
import NapEngine
package import NapGraph
import NapOperators
package import NapTensor

/// Batch normalizations behind the convolutions, transposed ones too, of a network that was exported
/// without any.
///
/// Exporters fold normalizations into convolutions, and a deep network does not train well without.
/// Those put back have the scale and shift that leave the function as it is; `fold` takes them out
/// again, so that the network that is written has the nodes of the one that was read.
package struct RestoredNormalizations {
  /// The network with normalizations.
  package let graph: Graph
  private let names: Set<String>

  /// Images that means and variances are measured on.
  private static let images = 1024
  /// In smaller batches, statistics are too noisy to train with.
  private static let smallestBatch = 16

  /// Puts nothing where the network has normalizations, or nothing to put one behind.
  ///
  /// - Parameter isWanted: whether to put back any.
  package init(
    _ original: Graph, if isWanted: Bool = true, data: any Dataset, preset: Preset, seed: Seed
  ) throws {
    let isNormalized = original.nodes.contains { $0.op is BatchNormalization }
    let outputs = Set(original.outputs.map(\.value))
    let uses = original.constantUses
    let convolutions = original.nodes.indices.filter { index in
      let node = original.nodes[index]
      // What other nodes read too cannot take in the normalization of one.
      return (node.op is Conv || node.op is ConvTranspose)
        && node.inputs.dropFirst().allSatisfy { uses[$0] == 1 }
        && !outputs.contains(node.outputs[0])
    }
    let batch = original.trainingBatch(of: data.count)
    guard isWanted, !isNormalized, !convolutions.isEmpty, batch >= Self.smallestBatch else {
      (graph, names) = (original, [])
      return
    }
    let statistics = try Self.statistics(
      of: convolutions.map { original.nodes[$0].outputs[0] }, in: original, data, preset,
      batch: original.batchSize(upTo: min(32, data.count)), seed)
    var graph = original
    var names: Set<String> = []
    // From the last on, so that indices stay right.
    for (index, (mean, variance)) in zip(convolutions, statistics).reversed() {
      let (node, op) = (graph.nodes[index], BatchNormalization())
      var scales = mean.map { _ in Float(1) }
      var innerMean = mean
      if let affine = node.op as? any AffineOperator, let weight = graph.constants[node.inputs[1]] {
        scales = Self.scales(of: affine.matrices(ofWeight: weight))
        graph.constants[node.inputs[1]] = affine.scalingOutputs(of: weight, by: scales)
        // Adding a constant before a normalization does nothing.
        if node.inputs.count > 2, let bias = graph.constants[node.inputs[2]] {
          innerMean = zip(mean, bias.floats).map { $0 - $1 }
          graph.constants[node.inputs[2]] = Tensor(shape: bias.shape, repeating: 0)
        }
      }
      innerMean = zip(innerMean, scales).map { $0 * $1 }
      let innerVariance = zip(variance, scales).map { $0 * $1 * $1 }
      let scale = zip(innerVariance, scales).map { ($0 + op.epsilon).squareRoot() / $1 }
      let name = "\(node.name)/normalization"
      func constant(_ what: String, _ values: [Float]) -> ValueID {
        graph.addConstant("\(name)/\(what)", Tensor(shape: [values.count], floats: values))
      }
      let parameters = [
        constant("scale", scale), constant("shift", mean), constant("mean", innerMean),
        constant("variance", innerVariance),
      ]
      let raw = graph.addValue("\(name)/input")
      graph.nodes[index].outputs = [raw]
      graph.nodes.insert(
        Node(name: name, op: op, inputs: [raw] + parameters, outputs: node.outputs),
        at: index + 1)
      names.insert(name)
    }
    self.graph = graph
    self.names = names
  }

  /// What to multiply the rows of a weight by so that they are as long as He et al. 2015 draw them.
  ///
  /// - Parameter rows: `[groups, out, in]`.
  ///
  /// Behind a normalization their length does not matter but to training: half as long ones turn four
  /// times as fast. Folding has left them with whatever length. Rows of zeros stay.
  private static func scales(of rows: Tensor) -> [Float] {
    let width = rows.shape[2]
    return (0..<rows.count / max(1, width)).map { row in
      let square = rows.floats[row * width..<(row + 1) * width].reduce(0) { $0 + $1 * $1 }
      return square.isNormal ? (2 / square).squareRoot() : 1
    }
  }

  /// Mean and variance of every channel of some values.
  private static func statistics(
    of values: [ValueID], in graph: Graph, _ data: any Dataset, _ preset: Preset, batch: Int,
    _ seed: Seed
  ) throws -> [(mean: [Float], variance: [Float])] {
    var watched = graph
    let shapes = try graph.shapes(batch: batch)
    watched.outputs = values.map {
      .init(value: $0, dimensions: shapes[$0.index].map { .fixed($0) })
    }
    let plan = try Plan(watched, batch: batch)
    let epoch = Loader(
      dataset: data, preset: preset, batchSize: batch, shuffle: true, augment: true,
      dropLast: true, seed: seed.derived("normalization")
    ).epoch(0)
    var sums = plan.outputShapes.map { [Double](repeating: 0, count: $0[1]) }
    var squares = sums
    var seen = 0
    while seen < images, let images = try epoch.next() {
      plan.setInputs(images.inputs, count: images.count)
      plan.forward()
      for (n, shape) in plan.outputShapes.enumerated() {
        let positions = shape.dropFirst(2).product
        for row in 0..<shape[0] * shape[1] {
          let x = plan.outputs[n] + row * positions
          var (sum, square): (Float, Float) = (0, 0)
          for i in 0..<positions {
            sum += x[i]
            square += x[i] * x[i]
          }
          sums[n][row % shape[1]] += Double(sum)
          squares[n][row % shape[1]] += Double(square)
        }
      }
      seen += batch
    }
    return plan.outputShapes.enumerated().map { n, shape in
      let count = Double(max(1, seen * shape.dropFirst(2).product))
      let means = sums[n].map { $0 / count }
      let variances = zip(squares[n], means).map { max(0, $0 / count - $1 * $1) }
      return (means.map { Float($0) }, variances.map { Float($0) })
    }
  }

  /// A network that grew out of `graph`, with the restored normalizations folded into the
  /// convolutions again.
  package func fold(_ trained: Graph) -> Graph {
    var result = trained
    result.nodes = []
    var producers: [ValueID: Int] = [:]
    for node in trained.nodes {
      guard names.contains(node.name), let op = node.op as? BatchNormalization,
        let index = producers[node.inputs[0]],
        let affine = result.nodes[index].op as? any AffineOperator,
        let weight = result.constants[result.nodes[index].inputs[1]]
      else {
        for output in node.outputs { producers[output] = result.nodes.count }
        result.nodes.append(node)
        continue
      }
      let parameters = node.inputs.dropFirst().map { trained.constants[$0]?.floats ?? [] }
      let (scale, shift, mean, variance) = (
        parameters[0], parameters[1], parameters[2], parameters[3]
      )
      let factors = zip(scale, variance).map { $0 / ($1 + op.epsilon).squareRoot() }
      var conv = result.nodes[index]
      result.constants[conv.inputs[1]] = affine.scalingOutputs(of: weight, by: factors)
      let bias = conv.inputs.count > 2 ? result.constants[conv.inputs[2]]?.floats : nil
      let folded = shift.indices.map { c in
        shift[c] + ((bias?[c] ?? 0) - mean[c]) * factors[c]
      }
      let tensor = Tensor(shape: [folded.count], floats: folded)
      if conv.inputs.count > 2 {
        result.constants[conv.inputs[2]] = tensor
      } else {
        conv.inputs.append(result.addConstant("\(conv.name)/bias", tensor))
      }
      conv.outputs = node.outputs
      result.nodes[index] = conv
      producers[node.outputs[0]] = index
      for value in node.inputs.dropFirst() { result.constants[value] = nil }
    }
    return result
  }
}

extension AffineOperator {
  /// A weight with what computes every output feature multiplied by a factor.
  fileprivate func scalingOutputs(of weight: Tensor, by factors: [Float]) -> Tensor {
    let rows = matrices(ofWeight: weight)
    let width = rows.shape[2]
    let scaled = rows.floats.enumerated().map { $1 * factors[$0 / width] }
    return self.weight(ofMatrices: Tensor(shape: rows.shape, floats: scaled), shape: weight.shape)
  }
}
