import Foundation
import NapData
import NapEngine
import NapGraph
import NapKernels
import NapOperators
public import NapReport
import NapTensor

/// Looks at the machine: what is there, what follows, whether it computes what it should, and how fast.
public struct Doctor: Sendable {
  public init() {}

  /// Takes about half a minute.
  public func run(progress: ProgressHandler = { _ in }) throws -> DoctorReport {
    var report = DoctorReport(facts: facts, findings: findings)
    let checks = [checkLinearAlgebra, checkGradients, checkSpeed]
    for (step, check) in checks.enumerated() {
      try progress(WorkProgress(stage: "checking", step: step + 1, steps: checks.count))
      try check(&report)
    }
    return report
  }

  // MARK: What is there

  private var facts: [DoctorReport.Fact] {
    let standard = Threads.standard
    let threads = Threads.count
    var facts: [DoctorReport.Fact] = [
      .init("nap", Runtime.versionWithCommit),
      .init("libraries", Runtime.libraries.joined(separator: ", ")),
      .init("processor", Processors.model ?? "not known"),
      .init("instructions", OneDNN.instructions),
      .init(
        "kernels",
        "3x3 convolutions: \(PatchCorrelation.isSupported ? "nap's (Winograd)" : "oneDNN's"), "
          + "linear algebra: OpenBLAS's for \(OpenBLAS.core)"),
      .init(
        "bfloat16",
        hasFastBFloat16
          ? "in hardware, so --precision auto trains in it"
          : canComputeBFloat16
            ? "emulated, so --precision auto trains in float32"
            : "not computed with here: --precision auto trains in float32"),
      .init(
        "threads",
        "\(threads) (" + (threads == standard.count ? "limited by \(standard.reason)" : "as asked")
          + ")"),
    ]
    if let memory = Memory.least() {
      facts.append(
        .init("memory", "\(Memory.text(memory.left)) can be taken (left by \(memory.of))"))
    }
    return facts
  }

  private var findings: [DoctorReport.Finding] {
    var findings: [DoctorReport.Finding] = []
    if !Threads.canBeMany {
      findings.append(
        .init(
          "oneDNN does not use GNU's OpenMP, so much is done by one thread",
          recovery:
            "install one that does: \(Self.install(debian: "libdnnl-dev", fedora: "onednn-devel", arch: "onednn"))",
          isWrong: false))
    }
    #if arch(x86_64)
      if !PatchCorrelation.isSupported {
        findings.append(
          .init(
            "the processor has no AVX-512, so 3x3 convolutions are trained by oneDNN's kernels",
            recovery: "nothing is to be done", isWrong: false))
      }
    #endif
    if let memory = Memory.least(), memory.left < 512 << 20 {
      findings.append(
        .init(
          "only \(Memory.text(memory.left)) of memory can be taken",
          recovery: "\(memory.of) leaves no more: raise it, or end what else runs", isWrong: true))
    }
    if let path = ProcessInfo.processInfo.environment["NAP_DATA"],
      !FileManager.default.fileExists(atPath: path)
    {
      findings.append(
        .init(
          "NAP_DATA names '\(path)', which is not there", recovery: "correct it, or give --data",
          isWrong: true))
    }
    return findings
  }

  /// The line that installs a package here.
  private static func install(debian: String, fedora: String, arch: String) -> String {
    #if os(macOS)
      return "brew install onednn"
    #else
      let release = (try? String(contentsOfFile: "/etc/os-release", encoding: .utf8)) ?? ""
      let names = release.split(separator: "\n").filter {
        $0.hasPrefix("ID=") || $0.hasPrefix("ID_LIKE=")
      }
      func isLike(_ system: String) -> Bool { names.contains { $0.contains(system) } }
      if isLike("fedora") || isLike("rhel") { return "sudo dnf install \(fedora)" }
      if isLike("arch") { return "sudo pacman -S \(arch)" }
      return "sudo apt-get install \(debian)"
    #endif
  }

  // MARK: Whether it is right

  /// Products and inverses against sums written out: some versions of OpenBLAS are wrong on processors that
  /// are newer than they are.
  private func checkLinearAlgebra(_ report: inout DoctorReport) {
    var generator = Seed(1).generator()
    let (m, n, k) = (131, 67, 97)
    let a = (0..<m * k).map { _ in generator.uniform() - 0.5 }
    let b = (0..<k * n).map { _ in generator.uniform() - 0.5 }
    var product = [Float](repeating: 0, count: m * n)
    multiply(a, b, into: &product, m: m, n: n, k: k)
    var error = 0.0
    for i in 0..<m {
      for j in 0..<n {
        let sum = (0..<k).reduce(0.0) { $0 + Double(a[i * k + $1]) * Double(b[$1 * n + j]) }
        error = max(error, abs(sum - Double(product[i * n + j])))
      }
    }
    let size = 200
    var square = Matrix(rows: size, columns: size)
    for i in square.elements.indices { square.elements[i] = Double(generator.uniform()) - 0.5 }
    var definite = square.times(transposed: square)
    definite.add(toDiagonal: 1)
    let identity = Matrix.identity(size)
    let residual = definite.solvingPositiveDefinite(identity).map { inverse -> Double in
      let found = definite * inverse
      return zip(found.elements, identity.elements).reduce(0) { max($0, abs($1.0 - $1.1)) }
    }
    // A comparison with NaN is no.
    let isRight = error < 1e-5 && (residual ?? .infinity) < 1e-8
    report.facts.append(
      .init("linear algebra", isRight ? "right" : "WRONG: \(error), \(residual ?? .nan)"))
    if !isRight {
      report.findings.append(
        .init(
          "OpenBLAS \(OpenBLAS.version) computes wrong numbers with its kernels for \(OpenBLAS.core)",
          recovery: "install a newer one, or run nap with OPENBLAS_CORETYPE=Haswell", isWrong: true)
      )
    }
  }

  /// One training step of a small residual network by the kernels that this processor gets, against the
  /// plain specification of its operators.
  private func checkGradients(_ report: inout DoctorReport) throws {
    let graph = Self.smallNetwork
    var generator = Seed(2).generator()
    func random(_ shape: [Int]) -> Tensor {
      Tensor(shape: shape, floats: (0..<shape.product).map { _ in generator.uniform() - 0.5 })
    }
    let batch = 8
    let x = random(graph.inputShapes(batch: batch)[0])
    let direction = random([batch, Self.classes])
    let expected = graph.gradients([x]) { _ in [direction] }.gradients
    var texts: [String] = []
    for (scalar, name, tolerance) in [
      (Scalar.float32, "float32", 1e-4), (.bfloat16, "bfloat16", 0.05),
    ] where scalar == .float32 || canComputeBFloat16 {
      let plan = try Plan(graph, mode: .training, scalar: scalar, batch: batch)
      plan.inputs[0].update(from: x.floats, count: x.count)
      plan.prepare()
      plan.forward()
      plan.outputGradients[0].update(from: direction.floats, count: direction.count)
      plan.backward()
      var (difference, size) = (0.0, 0.0)
      for (value, gradient) in plan.parameterGradients {
        guard let right = expected[value.index] else { continue }
        for i in 0..<right.count {
          difference += pow(Double(gradient[i] - right.floats[i]), 2)
          size += pow(Double(right.floats[i]), 2)
        }
      }
      let error = (difference / size).squareRoot()
      texts.append(String(format: "%@ %.0e", name, error))
      if !(error < tolerance) {
        report.findings.append(
          .init(
            "gradients in \(name) are wrong by \(error) of their length",
            recovery:
              "try ONEDNN_MAX_CPU_ISA=AVX2, and report it with what this command prints",
            isWrong: true))
      }
    }
    report.facts.append(
      .init("gradients", "off the specification by " + texts.joined(separator: ", ")))
  }

  private static let classes = 10

  /// Kernels of all kinds: 3x3 and strided convolutions, sums, pools, products.
  private static var smallNetwork: Graph {
    var network = NetworkBuilder(name: "doctor", seed: 3)
    let image = network.input([3, 16, 16])
    let first = network.relu(network.convolution(image, 32, kernel: 3, "first"), "first.relu")
    let second = network.convolution(first, 32, kernel: 3, "second")
    let sum = network.relu(network.apply(Add(), [first, second], "sum"), "sum.relu")
    let third = network.convolution(sum, 48, kernel: 3, stride: 2, "third")
    network.classifier(network.relu(third, "third.relu"), classes)
    return network.graph
  }

  // MARK: How fast it is

  private func checkSpeed(_ report: inout DoctorReport) throws {
    guard let network = Network(architecture: "resnet20", imageShape: [3, 32, 32], classes: 10)
    else { return }
    func speed(_ mode: Timing.Mode, _ precision: Precision) throws -> Double {
      try Timing(mode: mode, precision: precision, batchSize: 128).run(network).imagesPerSecond
    }
    let all = try speed(.training, .float32)
    var text = String(
      format: "ResNet-20: %.0f images/s trained in float32, %.0f evaluated", all,
      try speed(.inference, .float32))
    if canComputeBFloat16 {
      text += String(format: "; %.0f trained in bfloat16", try speed(.training, .bfloat16))
    }
    let threads = Threads.count
    if threads > 1 {
      Threads.use(1)
      let one = try speed(.training, .float32)
      Threads.use(threads)
      text += String(format: "; trained by one thread %.0f", one)
      if all < 1.1 * one {
        report.findings.append(
          .init(
            String(format: "%d threads are %.2f times as fast as one", threads, all / one),
            recovery: "end what else runs, or take fewer (--threads)", isWrong: false))
      }
    }
    report.facts.append(.init("speed", text))
  }
}
