import NapData
import NapEngine
import NapGraph
import NapKernels
import NapPruning
import NapSearch
import NapTensor

// MARK: Similarities
extension NetworkEvidence {
  /// A set's channels in a value that readers see.
  private struct Feature {
    var set: Int
    var value: ValueID
    var axis: Int
    var indices: [Int]
    /// Numbers of an example.
    var size: Int
  }

  func grams() throws -> [Matrix] {
    try session.journal.step("comparing features") {
      let count = min(Self.gramImages, session.training.count)
      guard count >= 4 else {
        throw UsageError(
          "\(count) examples cannot tell how alike layers are", recovery: "give some hundred")
      }
      var result = space.full.map { _ in Matrix(rows: count, columns: count) }
      let most = max(1, Self.mostBytes / (4 * count))
      var rest = try features()[...]
      let all = rest.count
      while !rest.isEmpty {
        var (some, size) = ([rest.removeFirst()], 0)
        size = some[0].size
        while let next = rest.first, size + next.size <= most {
          size += next.size
          some.append(rest.removeFirst())
        }
        try add(some, count, to: &result)
        try session.progress(
          WorkProgress(stage: "comparing features", step: all - rest.count, steps: all))
      }
      return result
    }
  }

  /// Images that similarities are computed from.
  private static let gramImages = 256
  /// Of what the network says of them, at once.
  private static let mostBytes = 1 << 30

  /// Where the readers of every set see its channels; where nothing affine reads them, all computed values.
  private func features() throws -> [Feature] {
    let batches = graph.tellingBatches
    let shapes = try batches.map { batch throws in try graph.shapes(batch: batch) }
    var read: Set<IndexAtoms.Place> = []
    for node in graph.nodes {
      guard let (op, _) = graph.affineForm(of: node, shapes[0]) else { continue }
      read.insert(.input(of: node, op, shapes[0]))
    }
    let computed = Set(graph.nodes.flatMap(\.outputs))
    return space.full.indices.flatMap { set in
      let places = space.places(of: set).filter { place, _ in
        // Numbers that are not by example tell nothing.
        computed.contains(place.value) && place.axis > 0
          && zip(batches, shapes).allSatisfy { $1[place.value.index].first == $0 }
      }
      let heard = places.filter { read.contains($0.key) }
      return (heard.isEmpty ? places : heard)
        .sorted { ($0.key.value, $0.key.axis) < ($1.key.value, $1.key.axis) }
        .map { place, indices in
          let shape = shapes[0][place.value.index]
          return Feature(
            set: set, value: place.value, axis: place.axis, indices: indices,
            size: shape.dropFirst().product / max(1, shape[place.axis]) * indices.count)
        }
    }
  }

  /// Adds `X Xᵀ` of some features to those of their sets.
  private func add(_ features: [Feature], _ count: Int, to grams: inout [Matrix]) throws {
    let batch = graph.batchSize(upTo: min(64, count))
    let values = Set(features.map(\.value)).sorted()
    let plan = try Plan(graph.truncated(to: values), batch: batch)
    let epoch = Loader(
      dataset: session.training, preset: session.preset, batchSize: batch, shuffle: true,
      augment: false, dropLast: false, seed: session.seed.derived("features")
    ).epoch(0)
    var rows = features.map { [Float](repeating: 0, count: $0.size * count) }
    var done = 0
    while done < count, let images = try epoch.next() {
      let taken = min(images.count, count - done)
      plan.setInputs(images.inputs, count: images.count)
      plan.forward()
      for (index, feature) in features.enumerated() {
        guard let place = values.firstIndex(of: feature.value) else { continue }
        let shape = plan.outputShapes[place]
        let (outer, inner) = (shape[1..<feature.axis].product, shape[(feature.axis + 1)...].product)
        let size = shape[feature.axis]
        rows[index].withUnsafeMutableBufferPointer { row in
          var next = done * feature.size
          for group in 0..<taken * outer {
            for channel in feature.indices {
              let source = plan.outputs[place] + (group * size + channel) * inner
              for position in 0..<inner { row[next + position] = source[position] }
              next += inner
            }
          }
        }
      }
      done += taken
    }
    for (index, feature) in features.enumerated() where feature.size > 0 {
      var product = [Float](repeating: 0, count: count * count)
      product.withUnsafeMutableBufferPointer { product in
        if let base = product.baseAddress {
          addSelfProduct(of: rows[index], rows: count, columns: feature.size, into: base)
        }
      }
      for i in 0..<count {
        for j in 0...i {
          let value = Double(product[i * count + j])
          grams[feature.set][i, j] += value
          if i != j { grams[feature.set][j, i] += value }
        }
      }
    }
  }
}
