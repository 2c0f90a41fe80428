import Foundation
import NapData
import NapTensor

/// Images side by side, group after group: those that the filters of a layer answer most to, say.
struct ContactSheet {
  /// `[images, channels, height, width]`.
  let images: Tensor
  /// Images in groups, in the order in which they are shown.
  let groups: [[Int]]
  /// Images in red frames.
  let marked: Set<Int>

  /// Pixels of a tile; small images are enlarged by whole factors.
  private static let tile = 40
  private static let largestTile = 64
  private static let frame = 2
  private static let gap = 3
  private static let groupGap = 12
  private static let columns = 16
  private static let red: (UInt8, UInt8, UInt8) = (213, 42, 0)

  /// The bytes of a PNG file; `nil` of what are no images.
  func encoded() -> Data? {
    guard images.shape.count == 4, images.count > 0 else { return nil }
    let (height, width) = (images.shape[2], images.shape[3])
    let factor = max(1, Self.tile / max(height, width))
    let shrink = max(1, (max(height, width) + Self.largestTile - 1) / Self.largestTile)
    let (tall, wide) = (max(1, height * factor / shrink), max(1, width * factor / shrink))
    let step = (x: wide + 2 * Self.frame + Self.gap, y: tall + 2 * Self.frame + Self.gap)
    let breadth = Self.columns * step.x
    var places: [(filter: Int, x: Int, y: Int)] = []
    var (x, y) = (Self.gap, Self.gap)
    for group in groups where !group.isEmpty {
      for filter in group {
        if x + step.x > breadth + Self.gap { (x, y) = (Self.gap, y + step.y) }
        places.append((filter, x, y))
        x += step.x
      }
      x += Self.groupGap
    }
    guard !places.isEmpty else { return nil }
    var sheet = PNGFile(width: breadth + 2 * Self.gap, height: y + step.y)
    for (filter, x, y) in places {
      if marked.contains(filter) {
        sheet.fill(
          x: x..<x + wide + 2 * Self.frame, y: y..<y + tall + 2 * Self.frame, Self.red)
      }
      draw(filter, into: &sheet, x: x + Self.frame, y: y + Self.frame, tall, wide)
    }
    return sheet.encoded()
  }

  /// Grey is the mean of the image; 2.5 standard deviations are white or black.
  private func draw(
    _ filter: Int, into sheet: inout PNGFile, x: Int, y: Int, _ tall: Int, _ wide: Int
  ) {
    let (channels, height, width) = (images.shape[1], images.shape[2], images.shape[3])
    let size = channels * height * width
    let numbers = Array(images.floats[filter * size..<(filter + 1) * size])
    let mean = numbers.reduce(0, +) / Float(size)
    let variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(size)
    let scale = 127 / (2.5 * max(variance.squareRoot(), .leastNormalMagnitude))
    func shade(_ row: Int, _ column: Int, _ color: Int) -> UInt8 {
      let pixel = row * width + column
      // What is not red, green and blue is grey.
      let value =
        channels == 3
        ? numbers[color * height * width + pixel]
        : (0..<channels).reduce(0) { $0 + numbers[$1 * height * width + pixel] } / Float(channels)
      return UInt8(min(255, max(0, 128 + scale * (value - mean))))
    }
    for row in 0..<tall {
      for column in 0..<wide {
        let (from, at) = (row * height / tall, column * width / wide)
        sheet.fill(
          x: x + column..<x + column + 1, y: y + row..<y + row + 1,
          (shade(from, at, 0), shade(from, at, 1), shade(from, at, 2)))
      }
    }
  }
}

extension Tensor {
  /// Images as people see them, `[images, channels, height, width]` of red, green and blue, of images as a network
  /// takes them.
  func pictures(of preset: Preset) -> Tensor {
    guard shape.count == 4 else { return self }
    let isLast = preset.layout == .nhwc
    let channels = isLast ? shape[3] : shape[1]
    guard isLast || preset.channels == .bgr && channels == 3 else { return self }
    let (height, width) = isLast ? (shape[1], shape[2]) : (shape[2], shape[3])
    let positions = height * width
    var result = [Float](repeating: 0, count: count)
    for n in 0..<shape[0] {
      for c in 0..<channels {
        let own = preset.channels == .bgr && channels == 3 ? 2 - c : c
        for p in 0..<positions {
          let place = isLast ? p * channels + own : own * positions + p
          result[(n * channels + c) * positions + p] = floats[n * channels * positions + place]
        }
      }
    }
    return Tensor(shape: [shape[0], channels, height, width], floats: result)
  }
}
