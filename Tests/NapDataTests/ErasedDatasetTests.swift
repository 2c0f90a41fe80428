import NapData
import NapTensor
import NapTestSupport
import Testing

@Suite struct ErasedDatasetTests {
  private let base = SyntheticDataset(count: 20, split: .train)

  private func pixels(_ data: any Dataset, _ index: Int) throws -> [UInt8] {
    var pixels = [UInt8](repeating: 0, count: data.imageShape.product)
    try pixels.withUnsafeMutableBufferPointer { pixels in
      try data.copyPixels(of: index, into: #require(pixels.baseAddress))
    }
    return pixels
  }

  @Test func aSquareIsPaintedInTheMeanColor() throws {
    let data = ErasedDataset(base, share: 0.25, repeats: 2, seed: Seed(3))
    #expect(data.count == 40)
    for index in 0..<40 {
      #expect(data.label(at: index) == base.label(at: index % 20))
      let (before, after) = (try pixels(base, index % 20), try pixels(data, index))
      var places: [Set<Int>] = []
      for channel in 0..<3 {
        let plane = channel * 1024..<(channel + 1) * 1024
        let mean = UInt8(before[plane].reduce(0) { $0 + Int($1) } / 1024)
        let changed = plane.filter { after[$0] != before[$0] }
        #expect(!changed.isEmpty && changed.allSatisfy { after[$0] == mean })
        places.append(Set(changed.map { $0 - plane.lowerBound }))
      }
      let all = places.reduce(Set()) { $0.union($1) }
      let (rows, columns) = (Set(all.map { $0 / 32 }), Set(all.map { $0 % 32 }))
      for sides in [rows, columns] {
        #expect(try #require(sides.max()) - #require(sides.min()) == 7)
      }
    }
    #expect(try pixels(data, 0) != pixels(data, 20))
  }

  @Test func nothingIsPaintedIntoASquareOfNoSize() throws {
    let data = ErasedDataset(base, share: 0, repeats: 1, seed: Seed(3))
    #expect(try pixels(data, 7) == pixels(base, 7))
  }
}
