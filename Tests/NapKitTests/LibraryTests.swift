import Foundation
import NapKit
import NapTestSupport
import Testing

/// What programs build on.
@Suite struct LibraryTests {
  private func network() -> Network {
    var builder = NetworkBuilder(seed: 3)
    let a = builder.input([3], "a")
    let b = builder.input([2], "b")
    let joined = builder.concatenate([a, b])
    let hidden = builder.relu(builder.linear(joined, 16, "hidden"))
    builder.output(builder.linear(hidden, 2, "y"), "y")
    return builder.network
  }

  private func examples(_ count: Int) throws -> ExamplesInMemory {
    func numbers(_ size: Int, _ seed: Int) -> NumericArray {
      NumericArray(
        shape: [count, size],
        values: (0..<count * size).map { Float(($0 * 7919 + seed * 31) % 97) / 48.5 - 1 })
    }
    let (a, b) = (numbers(3, 1), numbers(2, 2))
    let y = (0..<count).map { Float(a.values[3 * $0] + b.values[2 * $0] > 0 ? 1 : 0) }
    return try ExamplesInMemory(
      inputs: ["b": b, "a": a], targets: ["class": NumericArray(shape: [count], values: y)],
      integers: ["class"])
  }

  @Test func ownExamplesAreTrainedOnAndPruned() throws {
    let source = DataSource(try examples(400), test: try examples(100))
    var training = Training(source: source)
    (training.epochs, training.batchSize, training.learningRate) = (20, 32, 0.05)
    let (trained, report) = try training.run(network())
    #expect(try #require(report.accuracy) > 85)
    var pruning = Pruning(source: source)
    (pruning.goal, pruning.epochs, pruning.multiple) = (.macs(0.6), 3, 1)
    let (smaller, pruned) = try pruning.run(trained)
    #expect(pruned.verified && pruned.accuracyAfter > 80)
    #expect(smaller.inputs.map(\.name) == ["a", "b"] && smaller.outputs.map(\.name) == ["y"])
  }

  /// What `gate` is inside, a program can write itself.
  @Test func ownCriteriaSeeHowTheLossChanges() throws {
    struct OwnGate: ChannelCriterion {
      static let name = "own-gate"
      static let usesLossSlopes = true
      func score(of channel: Channel) -> Double {
        let slopes = channel.lossSlopes
        return 0.5 * slopes.reduce(0) { $0 + $1 * $1 } / Double(max(1, slopes.count))
      }
    }
    let source = DataSource(try examples(400), test: try examples(100))
    var pruning = Pruning(source: source)
    (pruning.goal, pruning.epochs, pruning.multiple) = (.macs(0.5), 0, 1)
    pruning.allowsChance = true
    pruning.criterion = "gate"
    let expected = try pruning.run(network()).0
    pruning.setCriterion(OwnGate.self)
    let own = try pruning.run(network()).0
    #expect(own.parameter("hidden.weight") == expected.parameter("hidden.weight"))
    #expect(own.layers.map(\.weightShape) != network().layers.map(\.weightShape))
  }

  @Test func examplesThatDoNotFitAreNamed() throws {
    struct Broken: ExampleSource {
      let count = 100
      let inputs = [
        ArrayDescription(name: "a", shape: [3]), ArrayDescription(name: "b", shape: [2]),
      ]
      let targets = [ArrayDescription(name: "class", shape: [], numbers: .classes(2))]
      func example(at index: Int) throws -> Example {
        Example(inputs: [[0, 0, 0], index == 70 ? [0] : [0, 1]], targets: [[Float(index % 2)]])
      }
    }
    do {
      _ = try Training(source: DataSource(Broken())).run(network())
      Issue.record("an example is too short")
    } catch let error as any NapError {
      #expect(error.localizedDescription.contains("example 70"))
    }
    struct Unnamed: ExampleSource {
      let count = 100
      let inputs = [ArrayDescription(name: "x", shape: [3])]
      func example(at index: Int) -> Example { Example(inputs: [[0, 0, 0]]) }
    }
    #expect(throws: (any Error).self) {
      try Evaluation(source: DataSource(Unnamed())).run(network())
    }
    #expect(throws: UsageError.self) {
      try ExamplesInMemory(
        inputs: ["a": NumericArray(shape: [2, 1], values: [1, 2])],
        targets: ["y": NumericArray(shape: [3], values: [1, 2, 3])])
    }
  }

  @Test func networksRunOnArraysAndTravelAsBytes() throws {
    let network = network()
    let inputs = [
      "a": NumericArray(shape: [2, 3], values: [1, 2, 3, 4, 5, 6]),
      "b": NumericArray(shape: [2, 2], values: [0, 1, 1, 0]),
    ]
    let outputs = try network.run(inputs)
    let again = try Network(data: try network.data())
    #expect(try again.run(inputs)["y"] == outputs["y"])
    #expect(outputs["y"]?.shape == [2, 2])
    let compiled = try network.compiled(batchSize: 1)
    let one = try compiled.run([
      "a": NumericArray(shape: [1, 3], values: [4, 5, 6]),
      "b": NumericArray(shape: [1, 2], values: [1, 0]),
    ])
    let expected = try #require(outputs["y"]).values.suffix(2)
    #expect(relativeDifference(try #require(one["y"]).values, Array(expected)) < 1e-5)
    #expect(throws: UsageError.self) { try compiled.run(inputs) }
    #expect(throws: UsageError.self) { try network.run(["a": try #require(inputs["a"])]) }
    #expect(throws: (any Error).self) { try Network(data: Data([1, 2, 3])) }
    #expect(network.layers.map(\.name) == ["hidden", "y"])
    #expect(network.parameter("hidden.bias")?.shape == [16] && network.parameter("no") == nil)
  }

  /// The sentence and the advice name properties, not options of a command that nobody runs.
  @Test(arguments: [
    ("give a smaller --max-factor, which splits", "give a smaller `largestFactor`, which splits"),
    ("--precision float32", "`precision` float32"),
    ("say it with --input-shape x=1x3", "say it with `inputShapes` x=1x3"),
    ("no option - at all", "no option - at all"),
  ])
  func sentencesNameProperties(_ text: String, _ expected: String) {
    struct Failure: NapError {
      let problem: String
      var recovery: String? { problem }
    }
    let error: any Error = Failure(problem: text)
    #expect(error.localizedDescription == expected)
    #expect((error as? any NapError)?.recoverySuggestion == expected)
    #expect("\(error)" == "\(text); \(text)")
  }

  @Test func workTellsItsProgressAndStops() async throws {
    let source = DataSource(try examples(400), test: try examples(100))
    var training = Training(source: source)
    (training.epochs, training.batchSize, training.learningRate) = (3, 32, 0.05)
    let work = training.start(network())
    var stages: [String] = []
    for await event in work.progress where event.stage != stages.last { stages.append(event.stage) }
    #expect(stages.contains("training"))
    let (_, report) = try await work.value
    #expect(report.epochs == 3)
    // The same, for who only wants the result.
    #expect(try await training.run(network()).report.epochs == 3)

    training.epochs = 100_000
    let long = training
    let given = network()
    let task = Task { try await long.run(given) }
    try await Task.sleep(for: .milliseconds(300))
    task.cancel()
    do {
      _ = try await task.value
      Issue.record("a hundred thousand epochs were done")
    } catch let stopped as WorkStopped {
      #expect(stopped.reason is CancellationError)
    } catch {
      #expect(error is CancellationError)
    }
  }

  @Test func ownMetricsAreAsked() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(throws: UsageError.self) { try UserMetric(command: "echo 1") }
    let metric = try UserMetric(command: "test -s {model} && echo score: 0.25")
    #expect(try metric.value(of: network()) == 0.25)
    for command in ["false # {model}", "echo none # {model}", "kill -9 $$ # {model}"] {
      #expect(throws: (any Error).self) { try UserMetric(command: command).value(of: network()) }
    }
    let source = DataSource(try examples(400), test: try examples(100))
    var pruning = Pruning(source: source)
    (pruning.goal, pruning.epochs, pruning.allowsChance) = (.macs(0.7), 0, true)
    pruning.metric = try UserMetric(command: "cat {model} | wc -c")
    let (_, report) = try pruning.run(network())
    let found = try #require(report.metric)
    #expect(found.before > found.after)
  }

  /// Points that have to come near, in a measure of the program's own.
  @Test func ownTasksAreLearned() throws {
    struct Near: OutputTask {
      static let name = "near"
      func loss(of output: [Float], towards target: [Float], gradient: inout [Float]) -> Double {
        var sum = 0.0
        for i in output.indices {
          let error = output[i] - target[i]
          gradient[i] = 2 * error
          sum += Double(error * error)
        }
        return sum
      }
      func score(of output: [Float], towards target: [Float]) -> Double {
        zip(output, target).allSatisfy { abs($0 - $1) < 0.25 } ? 1 : 0
      }
    }
    let base = try examples(400)
    let rows = (0..<400).map { base.example(at: $0).inputs }
    let arrays = (0..<2).map { k in
      NumericArray(shape: [400, k == 0 ? 3 : 2], values: rows.flatMap { $0[k] })
    }
    let targets = NumericArray(
      shape: [400, 2], values: rows.flatMap { [$0[0][0] - $0[1][0], abs($0[0][1])] })
    var source = DataSource(
      try ExamplesInMemory(inputs: ["a": arrays[0], "b": arrays[1]], targets: ["y": targets]))
    source.setTask(Near.self)
    var training = Training(source: source)
    (training.epochs, training.batchSize, training.learningRate) = (40, 32, 0.02)
    let (trained, _) = try training.run(network())
    let report = try Evaluation(source: source).run(trained)
    #expect(report.metrics.map(\.name) == ["near"] && report.accuracy > 85)
    var pruning = Pruning(source: source)
    (pruning.goal, pruning.epochs, pruning.multiple) = (.macs(0.7), 8, 1)
    #expect(try pruning.run(trained).report.accuracyAfter > 70)
  }
}
