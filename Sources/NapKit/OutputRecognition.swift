import Foundation
package import NapData
import NapEngine
package import NapGraph
import NapOperators
package import NapOutputs
package import NapTensor
import NapTraining

/// Finds out what the outputs of a network are: from what the user says, from the network's end, from the
/// data's labels, and from what it says of some examples.
package struct OutputRecognition {
  package let ends: NetworkEnds
  package private(set) var outputs = Outputs([])
  private let said: [String: OutputChoice]
  private let tasks: TaskRecognition
  /// What is odd about the targets.
  var remarks: [String] { tasks.remarks }
  private var trunk: Graph { ends.trunk }

  /// - Parameters:
  ///   - data: what scales are measured on, and whether there are labels.
  ///   - said: by name of the output.
  /// - Throws: `UsageError` when what the user says does not fit, or when an output is none that can be
  ///   compared example by example.
  package init(
    _ network: Graph, data: any Dataset, preset: Preset, said: [String: OutputChoice],
    tasks saidTasks: [String: TaskRecognition.Choice], temperatures: [Float] = [], seed: Seed
  ) throws {
    try network.checkConstants()
    let names = network.outputs.map { network.name(of: $0.value) }
    if let unknown = said.keys.sorted().first(where: { !names.contains($0) }) {
      throw UsageError(
        "the network has no output '\(unknown)'",
        recovery: "its outputs are \(names.joined(separator: ", "))")
    }
    self.said = said
    ends = NetworkEnds(network, keeping: Set(said.filter { $0.value.isAboutEnds }.keys))
    try Self.checkBatchAxes(ends)
    try ends.trunk.check(fits: data)
    tasks = try TaskRecognition(ends, data: data, said: saidTasks)
    for name in said.keys.sorted() { try check(name) }
    try ends.trunk.checkValues(on: data, preset, examples: data.examplesFurthestFromZero(8))
    let samples = try samples(of: data, preset, seed)
    let axes = ChannelAxes(ends.trunk)
    let meanings = try trunk.outputs.enumerated().map { k, port in
      var meaning = try meaning(of: port.value, samples[k], axes, tasks.learned[k])
      try attach(tasks.learned[k], to: &meaning)
      return meaning
    }
    outputs = Outputs(meanings)
    outputs.balance(by: samples, temperatures: [1, 2, 4] + temperatures)
  }

  /// What is said of an output has to be about one that losses can be computed of.
  private func check(_ name: String) throws {
    let whole = ends.whole
    let values = whole.outputs.map(\.value).filter { whole.name(of: $0) == name }
    let producer = whole.nodes.first { !values.isEmpty && $0.outputs.contains(values[0]) }
    if said[name]?.isAboutEnds == true, producer?.op is any ExtremumPosition {
      throw UsageError(
        "output '\(name)' holds positions: how far they are apart says nothing",
        recovery: "leave it to nap, which judges the numbers that are compared there")
    }
    let judged = ends.trunk.outputs.map { ends.name(ofOutput: $0.value) }
    if !judged.contains(name) {
      throw UsageError(
        "output '\(name)' says no more than another, and is not judged by itself",
        recovery: "say it of one of \(judged.joined(separator: ", "))")
    }
  }

  /// Numbers of examples can only be told apart where the first axis counts examples.
  private static func checkBatchAxes(_ ends: NetworkEnds) throws {
    guard let output = try ends.trunk.outputWithoutExamples() else { return }
    throw GraphError.output(name: ends.name(ofOutput: output))
  }

  /// What the network says of some examples.
  private func samples(
    of data: any Dataset, _ preset: Preset, _ seed: Seed
  ) throws -> [OutputSamples] {
    let shapes = try trunk.shapes(batch: 1)
    let numbers = trunk.outputs.reduce(0) { $0 + shapes[$1.value.index].dropFirst().product }
    let wanted = min(
      data.count, max(Self.fewest, min(Self.most, Self.mostNumbers / max(1, numbers))))
    let batch = trunk.batchSize(upTo: min(32, wanted))
    let plan = try Plan(trunk, batch: batch, checksNumbers: true)
    var generator = seed.derived("outputs").generator()
    let chosen = Array((0..<data.count).shuffled(using: &generator).prefix(wanted))
    let epoch = Loader(
      dataset: Subset(data, indices: chosen), preset: preset, batchSize: batch,
      shuffle: false, augment: false, dropLast: false, seed: seed
    ).epoch(0)
    var results = plan.outputs.map { _ in [Float]() }
    while let images = try epoch.next() {
      plan.setInputs(images.inputs, count: images.count)
      plan.forward()
      try trunk.check(plan.firstBroken, of: images.sides.map { chosen[$0.index] })
      for (k, shape) in plan.outputShapes.enumerated() {
        let count = images.count * shape.dropFirst().product
        results[k] += UnsafeBufferPointer(start: plan.outputs[k], count: count)
      }
    }
    for (k, port) in trunk.outputs.enumerated() where !results[k].allSatisfy(\.isFinite) {
      throw UsageError(
        "output '\(ends.name(ofOutput: port.value))' holds what are no numbers (NaN or infinite) on these data",
        recovery: "check the network and --preset: nap eval or nap run show what it says")
    }
    return zip(results, plan.outputShapes).map {
      OutputSamples($0, size: $1.dropFirst().product)
    }
  }

  private static let (fewest, most, mostNumbers) = (16, 512, 1 << 25)
}

extension OutputRecognition {
  /// Says what the outputs have been taken for.
  func announce(_ progress: ProgressHandler) throws {
    for remark in tasks.remarks {
      try progress(WorkProgress(stage: "looking at outputs", message: remark))
    }
    for meaning in outputs.meanings {
      try progress(
        WorkProgress(
          stage: "looking at outputs",
          message: "output '\(meaning.name)': \(meaning.summary) (\(meaning.reason))"))
    }
  }
}

// MARK: One output
extension OutputRecognition {
  private func attach(_ learned: TaskRecognition.Learned?, to meaning: inout OutputMeaning) throws {
    guard let learned else { return }
    guard meaning.parts.count == 1, meaning.axis == learned.fit.axis else {
      throw UsageError(
        "output '\(meaning.name)' learns \(learned.fit.task.name) along axis \(learned.fit.axis + 1), but --outputs says another axis",
        recovery: "leave it to nap, or say --task imitation")
    }
    meaning.task = (learned.fit.task, (learned.target, learned.size))
  }

  private func meaning(
    of value: ValueID, _ samples: OutputSamples, _ axes: ChannelAxes?,
    _ learned: TaskRecognition.Learned?
  ) throws -> OutputMeaning {
    let shape = Array(try trunk.shapes(batch: 1)[value.index].dropFirst())
    let name = ends.name(ofOutput: value)
    let choice = said[name]
    if let axis = choice?.axis, axis > shape.count || axis < 1 {
      throw UsageError(
        "output '\(name)' has no axis \(axis) that is not the batch",
        recovery: "it has the shape Nx\(shape.map(String.init).joined(separator: "x"))")
    }
    let saidAxis = choice?.axis.map { $0 - 1 }
    func result(_ type: any OutputKind.Type, axis: Int, _ reason: String) -> OutputMeaning {
      let axis = saidAxis ?? axis
      let place = OutputPlace(shape, axis: axis)
      return OutputMeaning(
        name: name, shape: shape, axis: axis,
        kinds: [(place.channels, type.init(measuring: samples, at: place))],
        share: choice?.share ?? 1, reason: reason)
    }
    let axis = axes?.axis(of: value, shape) ?? 0
    let own = saidAxis ?? axis
    if let type = choice?.type {
      if type == Logits.self || type == Probabilities.self, own >= shape.count || shape[own] < 2 {
        throw UsageError(
          "output '\(name)' has one channel along axis \(own + 1): there is nothing to choose from",
          recovery: "say two-class-\(type.name), or another axis")
      }
      return result(type, axis: axis, "as --outputs says")
    }
    if let learned {
      return result(
        learned.fit.kind, axis: learned.fit.axis, TaskRecognition.reason(learned))
    }
    func inner(_ axis: Int) -> Int { max(0, (axis < 0 ? axis + shape.count + 1 : axis) - 1) }
    for end in ends.ends[value] ?? [] {
      switch end {
      case .softmax(let axis): return result(Logits.self, axis: inner(axis), "a softmax follows")
      case .sigmoid: return result(TwoClassLogits.self, axis: axis, "a sigmoid follows")
      case .position(let axis):
        return result(Logits.self, axis: inner(axis), "the position of the largest follows")
      }
    }
    let kinds = partsByOrigin(of: value, shape, axis: own)
    if kinds.contains(where: { $0.origin != nil }) {
      return OutputMeaning(
        name: name, shape: shape, axis: own,
        kinds: kinds.map { part in
          let place = OutputPlace(shape, axis: own, channels: part.channels)
          let type = part.origin?.type ?? Numbers.self
          return (part.channels, type.init(measuring: samples, at: place))
        }, share: choice?.share ?? 1, reason: "by what computes its channels")
    }
    let place = OutputPlace(shape, axis: own)
    let traits = OutputTraits(samples, place)
    if traits.areUnitVectors { return result(UnitVectors.self, axis: own, "all have length 1") }
    if traits.areDistributions { return result(Probabilities.self, axis: own, "they sum to 1") }
    if traits.areLogits {
      return result(
        Logits.self, axis: own,
        "they are as those of a classifier: centred, and sure; if not, say \(name)=numbers")
    }
    return result(Numbers.self, axis: own, "nothing says otherwise")
  }

  /// Channels in runs of the same origin, by the operator that computes them behind moves; `nil` for
  /// those that none tells of.
  private func partsByOrigin(of value: ValueID, _ shape: [Int], axis: Int)
    -> [(channels: Range<Int>, origin: Origin?)]
  {
    guard !shape.isEmpty, let tracer = OriginTracer(trunk) else {
      return [(0..<(shape.first ?? 1), nil)]
    }
    var result: [(channels: Range<Int>, origin: Origin?)] = []
    for channel in 0..<shape[axis] {
      let origin = tracer.origin(of: value, axis: axis + 1, index: channel)
      if let last = result.last, last.origin == origin {
        result[result.count - 1].channels = last.channels.lowerBound..<channel + 1
      } else {
        result.append((channel..<channel + 1, origin))
      }
    }
    return result
  }
}

/// What computes a channel of an output.
private enum Origin: Equatable {
  case sigmoid
  /// The node: two softmaxes side by side are two choices.
  case softmax(Int)

  var type: any OutputKind.Type {
    switch self {
    case .sigmoid: TwoClassProbabilities.self
    case .softmax: Probabilities.self
    }
  }
}

/// Follows channels back through operators that only move numbers.
private final class OriginTracer {
  private let graph: Graph
  private let shapes: [[Int]]
  private let producers: [Int?]
  /// The input atoms that a node's output atoms go together with, by node.
  private var sources: [Int: [Place: [IndexLinks.Atom]]] = [:]

  private struct Place: Hashable {
    var axis: Axis
    var index: Int
  }

  init?(_ graph: Graph) {
    guard let shapes = try? graph.shapes(batch: 1) else { return nil }
    self.graph = graph
    self.shapes = shapes
    producers = graph.producers
  }

  func origin(of value: ValueID, axis: Int, index: Int) -> Origin? {
    guard let producer = producers[value.index] else { return nil }
    let node = graph.nodes[producer]
    if node.op is Sigmoid { return .sigmoid }
    if let softmax = node.op as? Softmax {
      let own = softmax.axis < 0 ? softmax.axis + shapes[value.index].count : softmax.axis
      return own == axis ? .softmax(producer) : nil
    }
    guard node.op is any MovingOperator || node.op is any ReshapingOperator,
      let output = node.outputs.firstIndex(of: value)
    else { return nil }
    let place = Place(axis: .output(output, axis: axis), index: index)
    var found: [Origin?] = []
    for source in sources(of: producer)[place] ?? [] {
      guard case .input(let input, let axis) = source.axis else { continue }
      found.append(origin(of: node.inputs[input], axis: axis, index: source.index))
    }
    guard let first = found.first, found.allSatisfy({ $0 == first }) else { return nil }
    return first
  }

  private func sources(of index: Int) -> [Place: [IndexLinks.Atom]] {
    if let known = sources[index] { return known }
    let node = graph.nodes[index]
    var links = IndexLinks(
      inputShapes: node.inputs.map { shapes[$0.index] },
      outputShapes: node.outputs.map { shapes[$0.index] })
    node.op.link(&links)
    var result: [Place: [IndexLinks.Atom]] = [:]
    for (a, b) in links.unions {
      switch (a.axis, b.axis) {
      case (.input, .output): result[Place(axis: b.axis, index: b.index), default: []].append(a)
      case (.output, .input): result[Place(axis: a.axis, index: a.index), default: []].append(b)
      default: break
      }
    }
    sources[index] = result
    return result
  }
}

/// What numbers look like, at some positions of some examples.
private struct OutputTraits {
  /// What the likeliest class is ahead by, on the average: 14 of a ResNet that knows its images by heart.
  private static let largestMargin = 50.0
  private(set) var areUnitVectors = false
  private(set) var areDistributions = false
  /// Trained by cross-entropy, logits have gradients that sum to 0, so that their mean stays about the
  /// same while each of them moves; and a softmax of them is sure of something, but not beyond all measure,
  /// and of many classes. Of two numbers nobody can tell, and a map of three may be a picture. In doubt they
  /// are numbers: those are kept too.
  private(set) var areLogits = false

  init(_ samples: OutputSamples, _ place: OutputPlace) {
    let (channels, stride) = (place.channels.count, place.stride)
    guard channels > 1, samples.count > 1 else { return }
    var (count, sureness, margins) = (0.0, 0.0, 0.0)
    var winners: Set<Int> = []
    var (isUnit, isDistribution) = (true, true)
    var sums = [Double](repeating: 0, count: channels + 1)
    var squares = sums
    samples.forEach { y in
      place.forEachPosition { start in
        var (sum, square, winner) = (0.0, 0.0, 0)
        var (largest, second) = (-Double.infinity, -Double.infinity)
        for k in 0..<channels {
          let x = Double(y[start + k * stride])
          sum += x
          square += x * x
          if x > largest {
            (winner, second, largest) = (k, largest, x)
          } else {
            second = max(second, x)
          }
          sums[k] += x
          squares[k] += x * x
          if x < 0 { isDistribution = false }
        }
        sums[channels] += sum
        squares[channels] += sum * sum
        winners.insert(winner)
        margins += min(1e6, largest - second)
        var total = 0.0
        for k in 0..<channels { total += exp(Double(y[start + k * stride]) - largest) }
        sureness += 1 / total
        if abs(square - 1) > 1e-2 { isUnit = false }
        if abs(sum - 1) > 1e-3 { isDistribution = false }
        count += 1
      }
    }
    let variances = zip(sums, squares).map { $1 / count - ($0 / count) * ($0 / count) }
    let spread = variances.dropLast().reduce(0, +)
    areUnitVectors = isUnit && !isDistribution && spread > 0
    areDistributions = isDistribution
    areLogits =
      variances[channels] < 0.3 * spread
      && sureness / count > 0.2 + 1.1 / Double(channels)
      && channels > (place.positions > 1 ? 4 : 2) && margins / count < Self.largestMargin
      && 2 * winners.count >= min(channels, Int(count) / 4)
  }
}
