import Foundation
import NapGraph
import NapKernels
import NapPruning
import NapTensor
import NapTestSupport
import Testing

@testable import NapKit
@testable import NapSearch

/// ITPruner's similarities against NumPy, its published programme against SciPy.
@Suite(.enabled(if: SharedFiles.python != nil, "NAP_PYTHON is not set"))
struct AllocationCrossCheckTests {
  private struct Case: Codable {
    struct Programme: Codable {
      var name: String
      var weights: [Double]
      var constant: Double
      var linear: [Double]
      var quadratic: [[Double]]
      var budget: Double
      var shares: [Double]
    }

    var features: [[[Double]]]
    var similarity: [[Double]]
    var programmes: [Programme]
  }

  private func rows(_ matrix: Matrix) -> [[Double]] {
    (0..<matrix.rows).map { i in (0..<matrix.columns).map { matrix[i, $0] } }
  }

  @Test func similaritiesAndWidthsAreThoseOfNumPyAndSciPy() throws {
    var random = Seed(5).generator()
    let features = [3, 8, 40, 1].map { columns in
      var features = Matrix(rows: 25, columns: columns)
      for i in features.elements.indices { features.elements[i] = Double(random.uniform()) }
      return features
    }
    let similarity = NormalizedHSIC.biased.matrix(of: features.map { $0 * $0.transposed })
    var programmes: [Case.Programme] = []
    for name in ["vgg16-bn", "resnet56"] {
      let network = try #require(
        Network(architecture: name, imageShape: [3, 32, 32], classes: 10))
      let space = try WidthSpace(network.graph, cost: .macs, rounding: .single)
      let cost = QuadraticCost(space)
      for (beta, budget) in [(0.0, 0.5), (100, 0.5), (231, 0.3)] {
        let redundancy = space.full.map { _ in Double(random.uniform()) }
        let sum = redundancy.reduce(0, +)
        let weights = ITPruner.importance(redundancy.map { $0 / sum }, beta)
        let shares = try #require(
          WidthProgram(cost: cost, budget: budget, least: []).linear(weights))
        #expect(cost.value(at: shares) <= budget + 1e-6)
        programmes.append(
          Case.Programme(
            name: "\(name), beta \(beta), \(budget)", weights: weights, constant: cost.constant,
            linear: cost.linear, quadratic: rows(cost.quadratic), budget: budget, shares: shares))
      }
    }
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "case.json").path
    let made = Case(
      features: features.map(rows), similarity: rows(similarity), programmes: programmes)
    try JSONEncoder().encode(made).write(to: URL(filePath: path))
    let check = try SharedFiles.runCrossCheck("allocation.py", [path])
    #expect(check.status == 0, "\(check.output)")
  }
}
