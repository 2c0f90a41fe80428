import NapGraph

/// The sizes beyond the batch that a file leaves open, and what the network is for others than those
/// it is read for.
struct OpenSizes {
  let reader: ONNXReader
  let model: ParsedModel
  let batches: Batches
  /// The network for the sizes it is read for, and for all batch sizes that are tried.
  let traces: [Trace]

  /// Axes of inputs that have one size, as the file gives them one name.
  private struct Group {
    var axes: [(input: Int, axis: Int)]
    /// What the network is read for.
    var size: Int
  }

  /// A network with the sizes declared open that it is the same for, whatever they are.
  ///
  /// What an exporter computes from sizes while the network runs is a constant by now: where that
  /// makes a difference, the size is fixed.
  func opening(_ graph: Graph) -> Graph {
    let groups = groups
    guard !groups.isEmpty else { return graph }
    if let open = opening(graph, groups) { return open }
    guard groups.count > 1 else { return graph }
    // Such as channels that the file leaves open too, for no reason.
    return opening(graph, groups.filter { opening(graph, [$0]) != nil }) ?? graph
  }

  private var groups: [Group] {
    var groups: [Group] = []
    var places: [String: Int] = [:]
    for (input, signature) in model.inputs.enumerated() {
      for (axis, dimension) in (signature.dimensions ?? []).enumerated().dropFirst() {
        guard case .dynamic(let name) = dimension,
          case .fixed(let size) = batches.dimensions[input][axis]
        else { continue }
        if let place = places[name] {
          groups[place].axes.append((input, axis))
        } else {
          if !name.isEmpty { places[name] = groups.count }
          groups.append(Group(axes: [(input, axis)], size: size))
        }
      }
    }
    return groups
  }

  /// Sizes to read the network for besides its own: multiples, which what halves and doubles again
  /// takes, and neighbours, which show what is rounded; different ones, and equal ones for networks
  /// that take squares only. Far ones show what is compared with a number.
  private static func probes(of groups: [Group]) -> [[Int]] {
    func probe(_ size: (Int, Int) -> Int) -> [Int] {
      groups.enumerated().map { size($1.size, 1 + $0 % 3) }
    }
    return [
      probe { $0 * (1 + $1) }, probe { size, _ in 2 * size }, probe { $0 + $1 },
      probe { size, _ in size + 1 }, probe { $0 + 32 * $1 }, probe { size, _ in size + 32 },
      probe { size, _ in min(16 * size, max(4 * size, 1024)) }, probe { size, _ in max(1, size / 2) },
    ]
  }

  /// The same for some of the sizes only; `nil` where the network depends on one of them.
  private func opening(_ graph: Graph, _ groups: [Group]) -> Graph? {
    guard let last = traces.last, !groups.isEmpty else { return nil }
    let own = model.inputs.map { last.shape(of: $0.name) }
    var probes: [Trace] = []
    for sizes in Self.probes(of: groups) {
      var shapes = own
      for (group, size) in zip(groups, sizes) {
        for place in group.axes { shapes[place.input][place.axis] = size }
      }
      // Sizes that the network does not take say nothing.
      if let trace = try? Trace(
        model, inputShapes: shapes, registry: reader.registry, fixedBatch: last.fixedBatch)
      {
        probes.append(trace)
      }
    }
    guard let first = probes.first, let merged = try? traces[0].merged(with: first),
      probes.allSatisfy({ (try? traces[0].merged(with: $0)) != nil })
    else { return nil }
    var dimensions = graph.inputs.map(\.dimensions)
    for place in groups.flatMap(\.axes) { dimensions[place.input][place.axis] = .dynamic("") }
    var open = model.graph(of: merged, inputs: dimensions) { place, size in
      func sizes(_ traces: [Trace]) -> Set<Int?> { Set(traces.map { $0.size(of: place) }) }
      if sizes(traces).count > 1 { return .dynamic(batches.name) }
      return sizes([last] + probes).count > 1 ? .dynamic("") : .fixed(size)
    }
    for trace in traces + probes {
      let shapes = try? open.shapes(inputs: model.inputs.map { trace.shape(of: $0.name) })
      guard let shapes, trace.agrees(with: shapes, of: open) else { return nil }
    }
    // All work on the network is for the sizes it is read for.
    for n in open.inputs.indices { open.inputs[n].dimensions = graph.inputs[n].dimensions }
    for n in open.outputs.indices { open.outputs[n].dimensions = graph.outputs[n].dimensions }
    return open
  }
}
