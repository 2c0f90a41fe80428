import NapCurvature
import NapData
import NapGraph
import NapKernels
import NapPruning
import NapReport
import NapTensor

// MARK: What filters respond to
extension PruningSession {
  /// Tells a model how alike the filters of its layers are.
  func compareFunctions(in model: PruningModel, by similarity: FunctionSimilarity, round: Int)
    throws
  {
    let graph = model.graph
    let layers = graph.affineLayers(shapes: try graph.shapes(batch: graph.batchSize(1)))
      .filter { model.computingLayers.contains($0.index) }
    var responses: [Int: FilterResponse] = [:]
    for layer in layers { responses[layer.index] = try FilterResponse(of: layer, in: graph) }
    guard similarity != .correlation else {
      let batch = graph.curvatureBatch(of: training.count)
      let correlations = try ActivationCorrelations(graph, of: responses, batch: batch)
      try collect(
        batch: batch, seed: seed.derived(round), drawing: false, stage: "correlating activations"
      ) { images, _ in correlations.add(images.inputs) }
      return model.compare(correlations.distances())
    }
    var (distances, images): ([Int: Matrix], [Int: Tensor]) = ([:], [:])
    let all = responses.values.reduce(0) { $0 + $1.filters }
    var before = 0
    for (index, response) in responses.sorted(by: { $0.key < $1.key }) {
      let name = graph.nodes[index].name
      let functions = try journal.step("functions of \(name)") {
        try ActivationMaximization(
          response, of: graph, seed: seed.derived("functions").derived(round)
        ).run { done, _ in
          try progress(
            WorkProgress(stage: "maximizing activations", step: before + done, steps: all))
        }
      }
      before += response.filters
      distances[index] = functions.distances(by: similarity)
      images[index] = functions.images
    }
    model.compare(distances, images: images)
  }

  /// Who took over what removed filters did, layer by layer, with a contact sheet of each in the run
  /// directory, if there is one.
  func reportFunctions(of model: PruningModel, round: Int) -> [FunctionReport] {
    guard let functions = model.functions else { return [] }
    let removed = Set(model.removedUnits)
    return model.computingLayers.sorted().compactMap { node in
      guard let layer = model.layers[node] else { return nil }
      var filters: [Int: [Int]] = [:]
      for unit in model.units.units {
        for (other, rows) in model.computings(of: unit) where other === layer {
          filters[unit.index, default: []] += rows.map(layer.filter)
        }
      }
      var gone: [FunctionReport.Removal] = []
      for (unit, own) in filters where removed.contains(unit) {
        let successor = model.successor(of: unit).flatMap { filters[$0.unit] }
        for (i, filter) in own.enumerated() {
          gone.append(
            .init(
              filter: filter, successor: successor.flatMap { i < $0.count ? $0[i] : nil },
              isDead: functions.dead.contains(unit)))
        }
      }
      gone.sort { $0.filter < $1.filter }
      let clusters = functions.clusters.map { $0.flatMap { filters[$0] ?? [] } }
        .filter { !$0.isEmpty }
      let marked = Set(gone.map(\.filter))
      var report = FunctionReport(
        round: round, layer: model.graph.nodes[node].name, clusters: clusters, removed: gone,
        sheet: nil)
      if let images = functions.images[node], let directory {
        let shown = Set(clusters.joined())
        let others = (0..<images.shape[0]).filter { !shown.contains($0) }
        let sheet = ContactSheet(
          images: images,
          groups: clusters.sorted { (-$0.count, $0[0]) < (-$1.count, $1[0]) }
            .map { $0.filter { !marked.contains($0) } + $0.filter(marked.contains) } + [others],
          marked: marked)
        report.sheet = sheet.encoded().flatMap { directory.keep(picture: $0, "functions-\(round)-\(node)") }
      }
      return report
    }
  }
}
