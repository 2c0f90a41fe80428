import Foundation
package import NapTensor

/// A generated classification task for demonstrations and tests: ten kinds of colored shapes and
/// textures at random places, sizes, angles and colors, on uneven backgrounds with noise.
///
/// Color and position say nothing about the class, so that a linear classifier fails. The images of
/// a seed are always the same.
package struct SyntheticDataset: Dataset {
  package let classNames = [
    "disk", "ring", "square", "frame", "triangle", "cross", "stripes", "checkers", "star", "dots",
  ]
  package let imageShape = [3, 32, 32]
  package let count: Int
  private let seed: Seed

  package init(count: Int, split: Split, seed: Seed = Seed(0)) {
    self.count = count
    self.seed = seed.derived("synthetic").derived(split.rawValue)
  }

  package func label(at index: Int) -> Int { index % classNames.count }

  package func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) {
    var random = seed.derived(index).generator()
    func between(_ low: Float, _ high: Float) -> Float { low + (high - low) * random.uniform() }
    func color() -> (Float, Float, Float) { (between(0, 255), between(0, 255), between(0, 255)) }
    let ground = color()
    var figure = color()
    // The figure must stand out, in whatever color.
    while abs(figure.0 - ground.0) + abs(figure.1 - ground.1) + abs(figure.2 - ground.2) < 150 {
      figure = color()
    }
    let (slopeX, slopeY) = (between(-2, 2), between(-2, 2))
    let (centerX, centerY) = (between(11, 21), between(11, 21))
    let (size, angle) = (between(6, 11), between(0, 2 * .pi))
    let (sine, cosine) = (sin(angle), cos(angle))
    let noise = between(5, 30)
    let kind = label(at: index)
    // A small distractor of another kind.
    let otherKind = Int.random(in: 0..<classNames.count, using: &random)
    let (otherX, otherY) = (between(2, 30), between(2, 30))
    for y in 0..<32 {
      for x in 0..<32 {
        let (dx, dy) = (Float(x) - centerX, Float(y) - centerY)
        let (u, v) = ((dx * cosine + dy * sine) / size, (dy * cosine - dx * sine) / size)
        let (p, q) = ((Float(x) - otherX) / 2.5, (Float(y) - otherY) / 2.5)
        let isFigure = Self.covers(kind, u, v) || Self.covers(otherKind, p, q)
        let light = slopeX * Float(x - 16) + slopeY * Float(y - 16)
        let base = isFigure ? figure : ground
        let grain = random.next()
        func write(_ channel: Int, _ value: Float) {
          let step = Float((grain >> UInt64(16 * channel)) & 0xffff) * 0x1p-15 - 1
          pixels[(channel * 32 + y) * 32 + x] = UInt8(
            min(255, max(0, value + light + noise * step)))
        }
        write(0, base.0)
        write(1, base.1)
        write(2, base.2)
      }
    }
  }

  /// Whether a kind of figure of size 1 around the origin covers a point.
  private static func covers(_ kind: Int, _ u: Float, _ v: Float) -> Bool {
    // Most points are far away.
    guard max(abs(u), abs(v)) < 1.2 else { return false }
    let radius = (u * u + v * v).squareRoot()
    let inSquare = max(abs(u), abs(v)) < 0.85
    switch kind {
    case 0: return radius < 1
    case 1: return radius < 1 && radius > 0.6
    case 2: return inSquare
    case 3: return inSquare && max(abs(u), abs(v)) > 0.5
    case 4: return v > -0.6 && abs(u) < (1 - v) * 0.6 && v < 1
    case 5: return min(abs(u), abs(v)) < 0.28 && radius < 1.1
    case 6: return radius < 1.1 && sin(u * 9) > 0
    case 7: return inSquare && (sin(u * 7) > 0) == (sin(v * 7) > 0)
    case 8: return radius < 0.45 + 0.6 * abs(sin(2.5 * atan2(v, u)))
    default: return radius < 1.1 && cos(u * 8) + cos(v * 8) > 0.7
    }
  }
}
