import NapData
import NapEngine
import NapGraph
import NapOperators
package import NapOutputs
import NapReport
import NapTensor
import NapTraining

/// Finds out which outputs of a network learn which targets of a data set, and how.
package struct TaskRecognition {
  /// What an output learns.
  struct Learned {
    var fit: TaskFit
    var target: Int
    var size: Int
    /// What some examples' targets are.
    var samples: OutputSamples
  }

  private let trunk: Graph
  private let ends: NetworkEnds
  /// By the trunk's output; of those that learn something.
  private(set) var learned: [Int: Learned] = [:]
  /// Of one example, by the trunk's output.
  private let shapes: [[Int]]
  /// What is odd about the targets, but no error.
  private(set) var remarks: [String] = []

  /// - Parameter said: the task by output's name, or of all outputs by the empty name.
  /// - Throws: `UsageError` or `TrainingError` when a target fits no output, or holds what cannot be.
  init(_ ends: NetworkEnds, data: any Dataset, said: [String: Choice] = [:]) throws {
    self.ends = ends
    trunk = ends.trunk
    let all = try trunk.shapes(batch: 1)
    shapes = trunk.outputs.map { Array(all[$0.value.index].dropFirst()) }
    let names = trunk.outputs.map { ends.name(ofOutput: $0.value) }
    for name in said.keys.sorted() where !name.isEmpty && !names.contains(name) {
      throw UsageError(
        "the network has no output '\(name)' that could learn a task",
        recovery: "its outputs are \(names.joined(separator: ", "))")
    }
    for (index, target) in data.targets.enumerated() {
      let samples = try Self.samples(of: data, target: index)
      let candidates = order(of: target, index, names, count: data.targets.count)
      guard
        let output = candidates.first(where: { k in
          fit(k, target, samples, said[names[k]] ?? said[""]).map {
            learned[k] = Learned(fit: $0, target: index, size: target.count, samples: samples)
          } != nil
        })
      else {
        // Of an output that imitates, the target is not asked.
        if names.contains(where: { said[$0]?.type == nil && said[$0] != nil }) { continue }
        throw misfit(target, said)
      }
      try check(target, index, of: data, for: output, names[output])
    }
  }

  /// What somebody says of an output.
  package enum Choice {
    case task(any Task.Type)
    /// Its targets are not asked.
    case imitation

    var type: (any Task.Type)? { if case .task(let type) = self { type } else { nil } }
  }

  /// The name of what is done without targets.
  static let imitation = "imitation"

  /// Outputs that a target may be for, the likeliest first.
  private func order(of target: Field, _ index: Int, _ names: [String], count: Int) -> [Int] {
    if let named = names.firstIndex(of: target.name) { return [named] }
    let free = names.indices.filter { learned[$0] == nil }
    // As many targets as outputs belong together in their order.
    return count == names.count ? [index].filter(free.contains) : free
  }

  private func fit(_ output: Int, _ target: Field, _ samples: OutputSamples, _ said: Choice?)
    -> TaskFit?
  {
    let shape = shapes[output]
    let value = trunk.outputs[output].value
    let isAmbiguous = shape.count > 1
    let form = OutputForm(
      shape: shape,
      channelAxis: isAmbiguous ? ChannelAxes(trunk)?.axis(of: value, shape) ?? 0 : 0,
      isYesOrNo: ends.ends[value]?.contains(.sigmoid) ?? false)
    for type in said.map({ [$0.type].compactMap { $0 } }) ?? allTasks {
      if let fit = type.fit(form, target, measuring: samples) { return fit }
    }
    return nil
  }

  private func misfit(_ target: Field, _ said: [String: Choice]) -> any Error {
    if let classes = target.classes ?? target.range.map({ Int($0.upperBound) + 1 }),
      target.isInteger, target.count == 1, shapes.count == 1, shapes[0].count == 1,
      shapes[0][0] > 1,
      said.isEmpty
    {
      let countsFromOne =
        target.classes == nil && target.range?.lowerBound == 1 && classes == shapes[0][0] + 1
      return countsFromOne
        ? UsageError(
          "the labels count from 1 to \(classes - 1), but classes count from 0",
          recovery: "subtract 1 from the labels")
        : TrainingError.classCount(network: shapes[0][0], data: classes)
    }
    let outputs = trunk.outputs.indices.map { k in
      let sizes = shapes[k].map(String.init).joined(separator: ", ")
      return "'\(ends.name(ofOutput: trunk.outputs[k].value))' [\(sizes)]"
    }
    let task = said.values.compactMap { $0.type?.name }.min().map { " for the task \($0)" } ?? ""
    return UsageError(
      "the target \(target.description)\(Self.span(of: target)) fits none of the outputs\(task): \(outputs.joined(separator: ", "))",
      recovery:
        "classes are whole numbers in the output's shape without its axis of classes, all else has the output's own shape; leave targets out, or say --task imitation, to keep what the network says"
    )
  }

  /// Such as ` from 0 to 9`; nothing of floats.
  private static func span(of target: Field) -> String {
    guard target.isInteger, let range = target.range else { return "" }
    return " from \(Int(range.lowerBound)) to \(Int(range.upperBound))"
  }

  /// All targets of all examples have to be possible.
  private mutating func check(
    _ target: Field, _ index: Int, of data: any Dataset, for output: Int, _ name: String
  ) throws {
    guard let learned = learned[output] else { return }
    let place = OutputPlace(shapes[output], axis: learned.fit.axis)
    var numbers = [Float](repeating: 0, count: target.count)
    var counts = [Int](repeating: 0, count: place.channels.count)
    let areClasses = learned.fit.kind == Logits.self
    for example in 0..<data.count {
      try data.copyTarget(index, of: example, into: &numbers)
      for number in numbers {
        if let problem = learned.fit.task.problem(of: number, at: place) {
          throw UsageError(
            "target \(target.description) of example \(example), counted from 0, is \(problem) (output '\(name)')",
            recovery: "repair the example, or leave it out")
        }
        if areClasses, number >= 0, Int(number) < counts.count { counts[Int(number)] += 1 }
      }
    }
    let (known, all) = (counts.reduce(0, +), data.count * target.count)
    if areClasses, known < all {
      let unknown = "of the target \(target.description), \(all - known) of \(all) numbers are -1, -100 or 255, no class"
      guard known > 0 else {
        throw UsageError(
          unknown + ": nothing is left to learn",
          recovery: "leave it out in all parts of the data, or this part of them")
      }
      remarks.append(unknown + ", and count for nothing")
    }
    let missing = counts.indices.filter { counts[$0] == 0 }
    if areClasses, target.count == 1, !missing.isEmpty, missing.count < counts.count {
      let names = missing.prefix(5).map {
        data.classNames.indices.contains($0) ? "'\(data.classNames[$0])'" : "\($0)"
      }
      remarks.append(
        "no example is of class \(names.joined(separator: ", "))\(missing.count > 5 ? " and \(missing.count - 5) more" : ""): nothing is known of what is lost there"
      )
    }
  }

  private static func samples(of data: any Dataset, target: Int) throws -> OutputSamples {
    let size = data.targets[target].count
    let count = min(data.count, max(16, min(512, (1 << 25) / max(1, size))))
    var numbers = [Float](repeating: 0, count: count * size)
    try numbers.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      for n in 0..<count {
        // Evenly over the data: they may be sorted.
        try data.copyTarget(target, of: n * data.count / count, into: base + n * size)
      }
    }
    return OutputSamples(numbers, size: size)
  }

  /// Outputs for what is asked by targets alone: what those without a target are does not matter.
  var outputs: Outputs {
    Outputs(
      trunk.outputs.indices.map { k in
        let name = ends.name(ofOutput: trunk.outputs[k].value)
        guard let learned = learned[k] else {
          let count = shapes[k].first ?? 1
          return OutputMeaning(
            name: name, shape: shapes[k], axis: 0,
            kinds: [(0..<count, Numbers(scales: [Float](repeating: 1, count: count)))],
            reason: "no target is for it")
        }
        let place = OutputPlace(shapes[k], axis: learned.fit.axis)
        var meaning = OutputMeaning(
          name: name, shape: shapes[k], axis: learned.fit.axis,
          kinds: [(place.channels, Self.kind(learned, at: place))], reason: Self.reason(learned))
        meaning.task = (learned.fit.task, (learned.target, learned.size))
        return meaning
      })
  }

  /// Measured on targets where these are numbers of the same kind.
  private static func kind(_ learned: Learned, at place: OutputPlace) -> any OutputKind {
    let isLike = learned.samples.size == place.count
    return learned.fit.kind.init(
      measuring: isLike ? learned.samples : OutputSamples([], size: place.count), at: place)
  }

  static func reason(_ learned: Learned) -> String {
    learned.fit.task is Classes && learned.size == 1
      ? "the data has labels" : "the data has targets: \(learned.fit.task.name)"
  }
}

extension TaskRecognition {
  /// Another part of the data has to have the same targets, all of them possible.
  ///
  /// - Throws: `UsageError` where it has not.
  static func check(
    _ test: any Dataset, like training: any Dataset, for ends: NetworkEnds, said: [String: Choice]
  ) throws {
    func text(_ targets: [Field]) -> String {
      targets.isEmpty ? "none" : targets.map { "'\($0.name)' \($0.shape)" }.joined(separator: ", ")
    }
    guard text(test.targets) == text(training.targets) else {
      throw UsageError(
        "the test split has the targets \(text(test.targets)), but training has \(text(training.targets))",
        recovery: "give both the same arrays, in the same order")
    }
    _ = try TaskRecognition(ends, data: test, said: said)
  }
}

extension Measure {
  /// What networks with these outputs are judged by.
  init(_ outputs: Outputs, isLabelled: Bool) {
    guard isLabelled, outputs.areLearned else {
      self = .agreement
      return
    }
    let names = Set(TaskMeter(outputs).metrics.compactMap { $0.metrics.first?.name })
    self = names.count == 1 ? names.first.flatMap(Measure.init(rawValue:)) ?? .score : .score
  }
}

extension TaskMeter {
  /// What a report says.
  var reports: [MetricReport] {
    metrics.flatMap { output, metrics in
      metrics.map {
        MetricReport(
          output: output, name: $0.name, value: $0.isShare ? 100 * $0.value : $0.value,
          isShare: $0.isShare)
      }
    }
  }
}
