import NapKernels
import NapTensor
import Testing

@Suite struct PatchCorrelationTests {
  /// Against all patches written out; sizes at which the border is most of the image, too.
  @Test(
    .enabled(if: PatchCorrelation.isSupported),
    arguments: [(17, 5, 4), (8, 1, 3), (33, 2, 2), (16, 8, 7)])
  func momentsAreTheSumsOverAllPatches(_ channels: Int, _ height: Int, _ width: Int) {
    let (count, blocks) = (3, (channels + 15) / 16)
    var generator = Seed(9).generator()
    var blocked = [Float](repeating: 0, count: count * blocks * height * width * 16)
    var images: [[[[Float]]]] = []
    for n in 0..<count {
      images.append([])
      for c in 0..<channels {
        images[n].append([])
        for y in 0..<height {
          images[n][c].append((0..<width).map { _ in generator.uniform() - 0.3 })
          for x in 0..<width {
            let place = ((n * blocks + c / 16) * height + y) * width + x
            blocked[place * 16 + c % 16] = images[n][c][y][x]
          }
        }
      }
    }
    let size = 9 * channels + 1
    var expected = Matrix(rows: size, columns: size)
    for image in images {
      for y in 0..<height {
        for x in 0..<width {
          var patch = [Double](repeating: 1, count: size)
          for c in 0..<channels {
            for i in 0..<9 {
              let (row, column) = (y + i / 3 - 1, x + i % 3 - 1)
              let isInside = row >= 0 && row < height && column >= 0 && column < width
              patch[9 * c + i] = isInside ? Double(image[c][row][column]) : 0
            }
          }
          for a in 0..<size { for b in 0..<size { expected[a, b] += patch[a] * patch[b] } }
        }
      }
    }
    let correlation = PatchCorrelation(channels: channels, height: height, width: width)
    let half = blocked.count / count
    correlation.add(Array(blocked[..<half]), count: 1)
    correlation.add(Array(blocked[half...]), count: count - 1)
    for range in [0..<size, 0..<size / 2, size / 2..<size] {
      var found = correlation.moments(range)
      found.mirrorLowerTriangle()
      for (a, row) in range.enumerated() {
        for (b, column) in range.enumerated() {
          #expect(abs(found[a, b] - expected[row, column]) < 1e-4, "\(row), \(column)")
        }
      }
    }
  }
}
