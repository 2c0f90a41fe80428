package import NapGraph
import NapTensor

/// Reads networks from ONNX files.
///
/// The graph that comes out is checked and simple: what can be computed before running is a
/// constant, nodes that do nothing are gone, and the batch size is open wherever the network
/// allows it, even where the file has written one into its shapes. All other sizes are known.
package struct ONNXReader: Sendable {
  let registry: OperatorRegistry

  package init(registry: OperatorRegistry) {
    self.registry = registry
  }

  /// The network in a file, see `read(_:sizes:)`.
  ///
  /// - Parameter inputShapes: sizes, by input name, for inputs the file leaves open.
  package func read(_ path: String, inputShapes: [String: [Int]] = [:]) throws(ONNXError) -> Graph {
    try read(ONNXFile(path), sizes: inputShapes.mapValues { $0.map { $0 } })
  }

  /// The network in a file, for certain sizes.
  ///
  /// The batch size stays open where the file leaves it open, unless the network depends on it in a
  /// way that is not supported; then one that is told is fixed. Other sizes are those that are told.
  /// They are declared open again where the network is the same for all sizes.
  ///
  /// - Parameter sizes: of the inputs, by name; `nil` where the file knows better.
  package func read(_ file: ONNXFile, sizes: [String: [Int?]]) throws(ONNXError) -> Graph {
    let model = file.model
    let graph = try graph(of: model, sizes: sizes)
    do {
      try graph.verify()
    } catch {
      throw .invalid(error.problem, recovery: error.recovery)
    }
    let integers = graph.integerValues
    if let port = graph.outputs.first(where: { graph.constants[$0.value]?.isFloat == false }) {
      throw .unsupported(
        "output '\(graph.name(of: port.value))', a constant of whole numbers,",
        recovery: "export the network without that output")
    }
    for (output, port) in zip(model.outputs, graph.outputs)
    where output.isInteger != integers.contains(port.value) {
      throw .unsupported(
        "the element type of output '\(output.name)'",
        recovery: "only ArgMax, ArgMin and TopK give whole numbers; export it as they or as float32"
      )
    }
    return graph
  }

  private func graph(of model: ParsedModel, sizes: [String: [Int?]]) throws(ONNXError) -> Graph {
    let dimensions = try model.dimensions(given: sizes)
    let batches = Batches(dimensions)
    guard batches.isOpen else { return try fixedGraph(of: model, batches) }
    do {
      return try openGraph(of: model, batches)
    } catch {
      var fixed = dimensions
      for (n, input) in model.inputs.enumerated() where dimensions[n].first?.isDynamic ?? false {
        guard let size = sizes[input.name]?.first, let size else { throw error }
        fixed[n][0] = .fixed(size)
      }
      return try fixedGraph(of: model, Batches(fixed))
    }
  }

  /// The network for the batch size that the file has fixed, or for any if it allows that.
  private func fixedGraph(of model: ParsedModel, _ batches: Batches) throws(ONNXError) -> Graph {
    let trace = try Trace(model, inputShapes: batches.shapes(nil), registry: registry)
    let fixed = model.graph(of: trace, inputs: batches.dimensions) { .fixed($1) }
    if let size = batches.written, let open = try? openGraph(of: model, batches),
      let shapes = try? open.shapes(batch: size), trace.agrees(with: shapes, of: open)
    {
      return open
    }
    return OpenSizes(reader: self, model: model, batches: batches, traces: [trace]).opening(fixed)
  }

  /// The network for any batch size, found by reading it for two of them and compared with what it is for others.
  private func openGraph(of model: ParsedModel, _ batches: Batches) throws(ONNXError) -> Graph {
    var traces: [Trace] = []
    for probe in Self.probes { traces.append(try trace(model, batches, probe)) }
    let (first, second) = (traces[0], traces[1])
    let graph = model.graph(of: try first.merged(with: second), inputs: batches.opened) {
      first.size(of: $0) == second.size(of: $0) ? .fixed($1) : .dynamic(batches.name)
    }
    let others = try others(of: model, batches, like: first)
    for (probe, trace) in zip(Self.probes, traces) + others {
      let shapes: [[Int]]
      do {
        shapes = try graph.shapes(batch: probe)
      } catch {
        throw .invalid(error.problem, recovery: error.recovery ?? first.fixingTheBatch)
      }
      guard trace.agrees(with: shapes, of: graph) else {
        throw .invalid(
          "the shapes depend on the batch size in a way that is not supported",
          recovery: first.fixingTheBatch)
      }
      if batches.written != nil {
        for output in model.outputs where trace.shape(of: output.name).first != probe {
          throw .invalid("the first dimension of output '\(output.name)' is not the batch")
        }
      }
    }
    return OpenSizes(reader: self, model: model, batches: batches, traces: traces).opening(graph)
  }

  private static let probes = [2, 3]

  private func trace(
    _ model: ParsedModel, _ batches: Batches, _ batch: Int
  ) throws(ONNXError) -> Trace {
    try Trace(
      model, inputShapes: batches.shapes(batch), registry: registry,
      fixedBatch: batches.written.map { .init(written: $0, probe: batch) })
  }

  /// What the network is for a single example and for many, which a comparison of the batch size with some number
  /// may tell apart. Batches that it does not take say nothing.
  private func others(
    of model: ParsedModel, _ batches: Batches, like first: Trace
  ) throws(ONNXError) -> [(Int, Trace)] {
    var others: [(Int, Trace)] = []
    // A `Squeeze` without axes leaves the batch alone, even of one example.
    let squeezes = model.squeezed.contains { first.constants[$0] == nil }
    for probe in squeezes ? [33] : [1, 33] {
      guard let trace = try? trace(model, batches, probe) else { continue }
      _ = try first.merged(with: trace)
      others.append((probe, trace))
    }
    return others
  }
}

/// Which inputs of a model have a batch axis.
struct Batches {
  let dimensions: [[Dimension]]
  /// Whether the file leaves the batch size open.
  let isOpen: Bool
  /// The size the file has fixed, if it may be one.
  let written: Int?

  init(_ dimensions: [[Dimension]]) {
    self.dimensions = dimensions
    isOpen = dimensions.contains { $0.first?.isDynamic ?? false }
    written = if !isOpen, case .fixed(let size)? = dimensions.first?.first { size } else { nil }
  }

  var name: String {
    let names = dimensions.compactMap {
      if case .dynamic(let name)? = $0.first { name } else { nil }
    }
    return names.first { !$0.isEmpty } ?? "N"
  }

  /// The dimensions with an open batch size.
  var opened: [[Dimension]] {
    dimensions.map { dimensions in
      guard let first = dimensions.first else { return dimensions }
      let isBatch = isOpen ? first.isDynamic : first == written.map { .fixed($0) }
      return isBatch ? [.dynamic(name)] + dimensions.dropFirst() : dimensions
    }
  }

  /// The shapes of the inputs for a batch size, or as the file fixes them.
  func shapes(_ batch: Int?) -> [[Int]] {
    (batch == nil ? dimensions : opened).map {
      $0.map { if case .fixed(let size) = $0 { size } else { batch ?? 1 } }
    }
  }
}

extension ONNXReader {
  /// Operators that are understood where they can be computed before running, in alphabetical order.
  package static var foldedOperators: [String] { Folding.functions.keys.sorted() }
}
