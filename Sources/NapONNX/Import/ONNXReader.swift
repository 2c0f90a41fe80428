package import NapGraph
import NapTensor

/// Reads networks from ONNX files.
///
/// The graph that comes out is checked and simple: what can be computed before running is a
/// constant, nodes that do nothing are gone, and the batch size is open wherever the network
/// allows it, even where the file has written one into its shapes.
package struct ONNXReader: Sendable {
  let registry: OperatorRegistry

  package init(registry: OperatorRegistry) {
    self.registry = registry
  }

  /// The network in a file.
  ///
  /// - Parameter inputShapes: sizes, by input name, for inputs the file leaves open beyond their
  ///   first dimension.
  package func read(_ path: String, inputShapes: [String: [Int]] = [:]) throws(ONNXError) -> Graph {
    let model = try ParsedModel(path: path)
    let known = model.inputs.map(\.name)
    for name in inputShapes.keys.sorted() where !known.contains(name) {
      throw .unknownInput(name, known: known)
    }
    var dimensions: [[Dimension]] = []
    for input in model.inputs {
      dimensions.append(try input.dimensions(given: inputShapes[input.name]))
    }
    let graph = try graph(of: model, dimensions: dimensions)
    do {
      try graph.verify()
    } catch {
      throw .invalid(error.problem, recovery: error.recovery)
    }
    let integers = graph.integerValues
    for (output, port) in zip(model.outputs, graph.outputs)
    where output.isInteger != integers.contains(port.value) {
      throw .unsupported(
        "the element type of output '\(output.name)'",
        recovery: "only ArgMax, ArgMin and TopK give whole numbers; export it as they or as float32"
      )
    }
    return graph
  }

  private func graph(of model: ParsedModel, dimensions: [[Dimension]]) throws(ONNXError) -> Graph {
    let batches = Batches(dimensions)
    if batches.isOpen { return try openGraph(of: model, batches) }
    let trace = try Trace(model, inputShapes: batches.shapes(nil), registry: registry)
    let fixed = model.graph(of: trace, inputs: dimensions) { .fixed($1) }
    guard let size = batches.written, let open = try? openGraph(of: model, batches) else {
      return fixed
    }
    let keepsShapes =
      (try? open.shapes(batch: size)).map { trace.agrees(with: $0, of: open) } ?? false
    return keepsShapes ? open : fixed
  }

  /// The network for any batch size, found by reading it for two of them.
  private func openGraph(of model: ParsedModel, _ batches: Batches) throws(ONNXError) -> Graph {
    var traces: [Trace] = []
    for probe in Self.probes {
      traces.append(
        try Trace(
          model, inputShapes: batches.shapes(probe), registry: registry,
          fixedBatch: batches.written.map { .init(written: $0, probe: probe) }))
    }
    let (first, second) = (traces[0], traces[1])
    let graph = model.graph(of: try first.merged(with: second), inputs: batches.opened) {
      let (a, b) = (first.shape(of: $0.name)[$0.axis], second.shape(of: $0.name)[$0.axis])
      return a == b ? .fixed($1) : .dynamic(batches.name)
    }
    for (probe, trace) in zip(Self.probes, traces) {
      let shapes: [[Int]]
      do {
        shapes = try graph.shapes(batch: probe)
      } catch {
        throw .invalid(error.problem, recovery: error.recovery)
      }
      guard trace.agrees(with: shapes, of: graph) else {
        throw .invalid(
          "the shapes depend on the batch size in a way that is not supported",
          recovery: "fix the batch size with --input-shape")
      }
      if batches.written != nil {
        for output in model.outputs where trace.shape(of: output.name).first != probe {
          throw .invalid("the first dimension of output '\(output.name)' is not the batch")
        }
      }
    }
    return graph
  }

  private static let probes = [2, 3]
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
    isOpen = dimensions.contains { $0.first.map(Self.isDynamic) ?? false }
    written = if !isOpen, case .fixed(let size)? = dimensions.first?.first { size } else { nil }
  }

  private static func isDynamic(_ dimension: Dimension) -> Bool {
    if case .dynamic = dimension { true } else { false }
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
      let isBatch = isOpen ? Self.isDynamic(first) : first == written.map { .fixed($0) }
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
