import Foundation
import NapData
import NapGraph
import NapKit
import NapReport
import NapTensor
import NapTestSupport
import Testing

/// Networks of all kinds, trained from nothing on arrays, and pruned by what they have learned.
@Suite struct TaskTests {
  private func source(_ task: TaskNetwork, _ path: String) throws -> DataSource {
    var source = try DataSource(path: path, preset: "plain")
    source.tasks = task.tasks
    return source
  }

  @Test(arguments: TaskNetwork.all)
  func tasksAreLearnedAndKept(_ task: TaskNetwork) throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let source = try source(task, try task.write(to: folder))
    let path = folder.appending(path: "model.onnx").path
    try Network(task.network()).write(to: path)
    var training = Training(source: source)
    training.epochs = 12
    training.batchSize = 32
    training.learningRate = task.learningRate
    training.precision = .float32
    let (trained, report) = try training.run(try Network(contentsOf: path, for: source))
    #expect(report.measure.rawValue == task.measure)
    let accuracy = try #require(report.accuracy)
    #expect(accuracy >= task.least && accuracy <= 100)
    // Read again, it is the same, judged in the same terms.
    try trained.write(to: path)
    let again = try Network(contentsOf: path, for: source)
    let evaluation = try Evaluation(source: source).run(again)
    #expect(abs(evaluation.accuracy - accuracy) < 0.01 && evaluation.measure == report.measure)
    #expect(evaluation.metrics.first?.name == task.measure)

    var pruning = Pruning(source: source)
    pruning.goal = .macs(0.7)
    pruning.epochs = 4
    pruning.multiple = 1
    pruning.precision = .float32
    let (smaller, pruned) = try pruning.run(again)
    #expect(pruned.measure.rawValue == task.measure && pruned.verified)
    #expect(Double(smaller.macs) <= 0.7 * Double(again.macs))
    #expect(abs(pruned.accuracyBefore - accuracy) < 0.01)
    #expect(pruned.accuracyAfter >= accuracy - 4)
  }
}
