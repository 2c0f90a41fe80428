import Foundation
import NapEngine
import NapGraph
import NapKit
import NapTensor
import NapTestSupport
import Synchronization
import Testing

/// No file brings nap to trap: what it does not like, it refuses with a sentence, and what it takes can
/// be profiled and run.
///
/// `NAP_FUZZ_GRAPHS` says how many files, `NAP_FUZZ_FIRST` from which on. A trap ends the tests; the file
/// is named before.
@Suite(.serialized) struct ModelFuzz {
  private static let current = Atomic<Int>(0)

  private static func number(_ variable: String, _ otherwise: Int) -> Int {
    ProcessInfo.processInfo.environment[variable].flatMap { Int($0) } ?? otherwise
  }

  @Test func noFileTraps() throws {
    Self.nameFileOnTrap()
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "model.onnx").path
    let first = Self.number("NAP_FUZZ_FIRST", 0)
    var (read, ran) = (0, 0)
    for index in first..<first + Self.number("NAP_FUZZ_GRAPHS", 1000) {
      Self.current.store(index, ordering: .relaxed)
      var models = NoisyModels(seed: Seed(31).derived(index))
      try models.file().write(to: URL(fileURLWithPath: path))
      do {
        let network = try Network(contentsOf: path)
        read += 1
        _ = try network.profile()
        ran += try Self.run(network.graph, index) ? 1 : 0
      } catch let error as any NapTensor.RecoverableError {
        #expect(!error.problem.isEmpty)
      }
    }
    // Of files that are all refused, nothing is learned.
    #expect(first > 0 || (read > 100 && ran > 100))
  }

  /// Runs a network of a size that takes no time; says whether it is one.
  private static func run(_ graph: Graph, _ index: Int) throws -> Bool {
    let batch = graph.batchSize(2)
    let shapes = try graph.shapes(batch: batch)
    let work = shapes.reduce(0) { $0 + $1.product }
    let products = graph.macsByNode(shapes: shapes).reduce(0, +)
    guard work < 1 << 18, products < 1 << 22 else { return false }
    let modes: [PlanMode] = [.inference, .inference, .training, .curvature]
    let mode = modes[index % modes.count]
    let plan = try Plan(graph, mode: mode, batch: batch)
    var random = Seed(32).derived(index).generator()
    for (input, shape) in zip(plan.inputs, plan.inputShapes) {
      for i in 0..<shape.product { input[i] = random.uniform() - 0.5 }
    }
    plan.forward()
    if mode != .inference {
      for (gradient, shape) in zip(plan.outputGradients, plan.outputShapes) {
        for i in 0..<shape.product { gradient[i] = random.uniform() - 0.5 }
      }
      plan.backward()
    }
    return true
  }

  private static func nameFileOnTrap() {
    for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE] {
      signal(number) { number in
        var text = Array("trapped: NAP_FUZZ_FIRST=".utf8)
        text += String(ModelFuzz.current.load(ordering: .relaxed)).utf8
        write(STDERR_FILENO, text + [10], text.count + 1)
        signal(number, SIG_DFL)
        raise(number)
      }
    }
  }
}
