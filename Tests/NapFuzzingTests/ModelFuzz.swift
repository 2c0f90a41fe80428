import Foundation
import NapData
import NapEngine
import NapFuzzing
import NapKit
import NapTensor
import NapTestSupport
import Synchronization
import Testing

/// No file brings nap to trap: what it does not like, it refuses with a sentence, and what it takes can
/// be profiled, run and, some of it, pruned.
///
/// `NAP_FUZZ_GRAPHS` says how many files, `NAP_FUZZ_FIRST` from which on. A trap ends the tests; the file
/// is named before.
@Suite(.serialized) struct ModelFuzz {
  private static let current = Atomic<Int>(0)

  @Test func noFileTraps() throws {
    Self.nameFileOnTrap()
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "model.onnx").path
    let first = setting("NAP_FUZZ_FIRST", otherwise: 0)
    var (read, ran) = (0, 0)
    for index in first..<first + setting("NAP_FUZZ_GRAPHS", otherwise: 1000) {
      Self.current.store(index, ordering: .relaxed)
      var models = NoisyModels(seed: Seed(31).derived(index))
      try models.file().write(to: URL(fileURLWithPath: path))
      do {
        let network = try Network(contentsOf: path)
        read += 1
        _ = try network.profile()
        guard try network.graph.isQuick else { continue }
        let modes: [PlanMode] = [.inference, .inference, .training, .curvature]
        try network.graph.run(modes[index % modes.count], on: Seed(32).derived(index))
        ran += 1
        if index % 8 == 0 { try Self.prune(network, in: folder, index) }
      } catch let error as any NapError {
        #expect(!error.problem.isEmpty)
      }
    }
    // Of files that are all refused, nothing is learned.
    #expect(first > 0 || (read > 100 && ran > 100))
  }

  /// By what a few examples of noise tell.
  private static func prune(_ network: Network, in folder: URL, _ index: Int) throws {
    var random = Seed(33).derived(index).generator()
    let shape = [24] + network.imageShape
    guard shape.product < 1 << 16 else { return }
    let path = folder.appending(path: "x.npy").path
    let noise = (0..<shape.product).map { _ in random.uniform() }
    try NumPyFile.write(Tensor(shape: shape, floats: noise), to: path)
    var pruning = Pruning(source: try DataSource(path: path, preset: "plain"))
    pruning.goal = .parameters(0.7)
    pruning.epochs = 0
    pruning.curvatureImages = 8
    _ = try pruning.run(network)
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
