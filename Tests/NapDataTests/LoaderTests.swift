import NapData
import NapTensor
import NapTestSupport
import Testing

@Suite struct LoaderTests {
  private let data = SyntheticDataset(count: 50, split: .train)

  private func pixels(_ loader: Loader, _ number: Int) throws -> [[Float]] {
    let epoch = loader.epoch(number)
    var result: [[Float]] = []
    while let batch = try epoch.next() {
      result.append(Array(UnsafeBufferPointer(start: batch.pixels, count: batch.count * 3072)))
    }
    return result
  }

  private func loader(shuffle: Bool, augment: Bool, dropLast: Bool, seed: UInt64 = 1) throws
    -> Loader
  {
    Loader(
      dataset: data, preset: try #require(Preset.named("synthetic")), batchSize: 16,
      shuffle: shuffle,
      augment: augment, dropLast: dropLast, seed: Seed(seed))
  }

  @Test func theSameSeedGivesTheSameBatches() throws {
    let first = try pixels(loader(shuffle: true, augment: true, dropLast: true), 3)
    #expect(first == (try pixels(loader(shuffle: true, augment: true, dropLast: true), 3)))
    #expect(first != (try pixels(loader(shuffle: true, augment: true, dropLast: true), 4)))
    #expect(first != (try pixels(loader(shuffle: true, augment: true, dropLast: true, seed: 2), 3)))
  }

  @Test func theLastBatchHoldsTheRest() throws {
    #expect(
      try pixels(loader(shuffle: false, augment: false, dropLast: false), 0).map(\.count)
        == [16, 16, 16, 2].map { $0 * 3072 })
    #expect(try pixels(loader(shuffle: false, augment: false, dropLast: true), 0).count == 3)
  }

  @Test func pixelsAreNormalized() throws {
    let batch = try pixels(loader(shuffle: false, augment: false, dropLast: false), 0)[0]
    var bytes = [UInt8](repeating: 0, count: 3072)
    data.copyPixels(of: 0, into: &bytes)
    let expected = bytes.map { (Float($0) / 255 - 0.5) / 0.25 }
    #expect(relativeDifference(Array(batch.prefix(3072)), expected) < 1e-6)
  }

  @Test func leavingAnEpochEarlyIsFine() throws {
    for _ in 0..<20 { _ = try loader(shuffle: true, augment: true, dropLast: true).epoch(0).next() }
  }
}
