internal import CNapDNN

/// The second moments `Σ a aᵀ` of the 3x3 patches of images, padded by 1, with a constant 1 appended:
/// what a matrix of all patches times its transpose would be, for a third of the operations.
///
/// Two elements of a patch that are `d` apart see all pairs of pixels that are `d` apart, but for
/// those that the border takes away: the sum depends on `d`, and on the outermost lines where `d`
/// runs along them.
///
/// - Source: Grosse & Martens 2016, arXiv:1602.01407, section 4 assumes such a structure; summed over
///   all positions it holds exactly, but for the border.
package final class PatchCorrelation {
  private let channels: Int
  private let blocks: Int
  private let size: (height: Int, width: Int)
  /// Sums of one batch by thread.
  private let parts: AlignedBuffer
  private let stride: Int
  private var sums: [Double]
  private var images = 0

  /// Whether this processor can.
  package static var isSupported: Bool { nap_winograd_supported() != 0 }

  package init(channels: Int, height: Int, width: Int) {
    self.channels = channels
    blocks = (channels + 15) / 16
    size = (height, width)
    var shape = nap_correlation(
      n: 1, c: Int64(channels), h: Int64(height), w: Int64(width))
    stride = nap_correlation_floats(&shape)
    parts = AlignedBuffer(bytes: 4 * stride * Int(nap_max_threads()))
    sums = [Double](repeating: 0, count: stride)
  }

  /// Adds images in `Layout(blocked:)`.
  package func add(_ x: UnsafePointer<Float>, count: Int) {
    var shape = nap_correlation(
      n: Int64(count), c: Int64(channels), h: Int64(size.height), w: Int64(size.width))
    let threads = Int(nap_max_threads())
    parts.floats.update(repeating: 0, count: stride * threads)
    nap_correlation_add(&shape, x, parts.floats)
    for thread in 0..<threads {
      let part = parts.floats + thread * stride
      for i in sums.indices { sums[i] += Double(part[i]) }
    }
    images += count
  }

  /// The lower triangle of some of the sum's rows and columns. They run over channels, then over the
  /// rows and columns of the patch; the constant is the last.
  package func moments(_ range: Range<Int>) -> Matrix {
    var result = Matrix(rows: range.count, columns: range.count)
    let constant = 9 * channels
    for row in range {
      for column in range.lowerBound...row {
        let value =
          column == constant
          ? Double(images * size.height * size.width)
          : row == constant
            ? sum(column / 9, column % 9) : moment(row / 9, row % 9, column / 9, column % 9)
        result[row - range.lowerBound, column - range.lowerBound] = value
      }
    }
    return result
  }

  /// Where the correlations of the first row begin, of the first column, and of the corners.
  private static let (rows, columns, corners) = (13, 19, 25)

  private func correlation(_ kind: Int, _ a: Int, _ b: Int) -> Double {
    let block = (kind * blocks + a / 16) * blocks + b / 16
    return sums[(block * 16 + a % 16) * 16 + b % 16]
  }

  private func moment(_ a: Int, _ i: Int, _ b: Int, _ j: Int) -> Double {
    let (dy, dx) = (j / 3 - i / 3, j % 3 - i % 3)
    // A distance the other way round is the transposed correlation.
    let isBackward = dy < 0 || (dy == 0 && dx < 0)
    let (from, to) = isBackward ? (b, a) : (a, b)
    let (down, right) = isBackward ? (-dy, -dx) : (dy, dx)
    var result = correlation(down == 0 ? right : 5 * down + right, from, to)
    // The first row of a patch never sees the last row of the image, and so on.
    let (lastRow, lastColumn) = (i / 3 == 0 ? 1 : 0, i % 3 == 0 ? 1 : 0)
    if dy == 0, i / 3 != 1 { result -= correlation(Self.rows + 3 * lastRow + right, from, to) }
    if dx == 0, i % 3 != 1 { result -= correlation(Self.columns + 3 * lastColumn + down, from, to) }
    if dy == 0, dx == 0, i / 3 != 1, i % 3 != 1 {
      result += correlation(Self.corners + 2 * lastRow + lastColumn, from, to)
    }
    return result
  }

  private func line(_ kind: Int, _ channel: Int) -> Double {
    sums[29 * blocks * blocks * 256 + kind * blocks * 16 + channel]
  }

  private func sum(_ channel: Int, _ i: Int) -> Double {
    let (lastRow, lastColumn) = (i / 3 == 0 ? 1 : 0, i % 3 == 0 ? 1 : 0)
    var result = line(0, channel)
    if i / 3 != 1 { result -= line(1 + lastRow, channel) }
    if i % 3 != 1 { result -= line(3 + lastColumn, channel) }
    if i / 3 != 1, i % 3 != 1 { result += line(5 + 2 * lastRow + lastColumn, channel) }
    return result
  }
}
