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
      result.append(Array(UnsafeBufferPointer(start: batch.inputs[0], count: batch.count * 3072)))
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

  @Test func twoEpochsShowBothSidesOfEveryImage() throws {
    let preset = try #require(Preset.named("imagenet"))
    func epoch(_ number: Int, augment: Bool) throws -> [Float] {
      try pixels(
        Loader(
          dataset: data, preset: preset, batchSize: 50, shuffle: false, augment: augment,
          dropLast: false, seed: Seed(1)), number)[0]
    }
    let plain = try epoch(0, augment: false)
    let mirrored = plain.indices.map { plain[$0 / 32 * 32 + 31 - $0 % 32] }
    let (even, odd) = (try epoch(0, augment: true), try epoch(1, augment: true))
    var mirroredCount = 0
    for image in 0..<50 {
      let range = image * 3072..<(image + 1) * 3072
      let isMirrored = Array(even[range]) == Array(mirrored[range])
      if isMirrored { mirroredCount += 1 }
      #expect(Array(even[range]) == Array((isMirrored ? mirrored : plain)[range]))
      #expect(Array(odd[range]) == Array((isMirrored ? plain : mirrored)[range]))
    }
    #expect((10...40).contains(mirroredCount))
    #expect(try epoch(2, augment: true) == even)
  }

  @Test func leavingAnEpochEarlyIsFine() throws {
    for _ in 0..<20 { _ = try loader(shuffle: true, augment: true, dropLast: true).epoch(0).next() }
  }
}
