import NapData
import NapKernels
import NapKit
import NapOutputs
import NapTensor
import Testing

@Suite struct ImageDrawTests {
  private static let preset = Preset.named("synthetic")
  private static let pool = SyntheticDataset(count: 400, split: .train)

  private func draw(_ count: Int, _ seed: UInt64) throws -> ImageDraw.Drawn {
    let network = try #require(
      Network(architecture: "mlp", imageShape: Self.pool.imageShape, classes: 10))
    return try ImageDraw(
      network.graph, outputs: Outputs(guessing: [[1, 10]]), from: Self.pool,
      preset: try #require(Self.preset), scalar: .float32,
      poolFactor: 4, seed: Seed(0)
    ).draw(count, seed: Seed(seed))
  }

  @Test func theSameSeedDrawsTheSame() throws {
    let (a, b, c) = (try draw(50, 1), try draw(50, 1), try draw(50, 2))
    #expect(a.images.indices == b.images.indices && a.weights == b.weights)
    #expect(a.images.indices != c.images.indices)
  }

  /// Drawn by how unsure the network is: what an image counts times how often it comes is the same
  /// of all.
  @Test func whatIsDrawnOftenCountsLess() throws {
    let drawn = try draw(100, 1)
    #expect(drawn.images.count == 100 && drawn.weights.count == 100)
    #expect(abs(drawn.weights.reduce(0, +) / 100 - 1) < 0.2)
    var times: [Int: Int] = [:]
    for index in drawn.images.indices { times[index, default: 0] += 1 }
    for (index, weight) in zip(drawn.images.indices, drawn.weights) {
      // One of every four is drawn in the mean; systematic draws differ from that by less than one.
      #expect(abs(Double(times[index] ?? 0) - 0.25 / weight) < 1)
    }
    #expect(Set(drawn.weights).count > 10)
  }
}
