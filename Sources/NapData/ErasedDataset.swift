package import NapTensor

/// Images each with a square somewhere in it painted over, in the mean color of the image.
///
/// A trained network has learned its training images by heart, so that they tell little about what it
/// has lost; with parts of them gone, it has to make do with what it understands of the rest.
package struct ErasedDataset: DerivedDataset {
  package let base: any Dataset
  /// Of the square, in pixels.
  private let side: Int
  /// Row and column where the square begins.
  private let corners: [(row: Int, column: Int)]

  /// - Parameters:
  ///   - share: the side of the square by the smaller side of the image, in `0...1`.
  ///   - repeats: how many places are painted over of each image, one at a time.
  package init(_ base: any Dataset, share: Double, repeats: Int, seed: Seed) {
    self.base = base
    let (height, width) = (base.imageShape[1], base.imageShape[2])
    side = Int((share * Double(min(height, width))).rounded())
    var generator = seed.derived("erase").generator()
    var corners: [(row: Int, column: Int)] = []
    for _ in 0..<repeats * base.count {
      corners.append(
        (
          Int.random(in: 0...height - side, using: &generator),
          Int.random(in: 0...width - side, using: &generator)
        ))
    }
    self.corners = corners
  }

  package var count: Int { corners.count }
  package func origin(of index: Int) -> Int { index % base.count }
  /// Squares have a place in images of one size.
  package let isOfAnySize = false
  package func copyPixels(
    of index: Int, cropped crop: RandomCrop, into pixels: UnsafeMutablePointer<UInt8>
  ) -> Bool {
    false
  }

  package func copyNumbers(of index: Int, into numbers: UnsafeMutablePointer<Float>) throws -> Bool
  {
    guard try base.copyNumbers(of: origin(of: index), into: numbers) else { return false }
    erase(numbers, at: index) { plane in plane.reduce(0, +) / Float(plane.count) }
    return true
  }

  package func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) throws {
    try base.copyPixels(of: origin(of: index), into: pixels)
    erase(pixels, at: index) { plane in UInt8(plane.reduce(0) { $0 + Int($1) } / plane.count) }
  }

  private func erase<Number>(
    _ image: UnsafeMutablePointer<Number>, at index: Int,
    mean: (UnsafeBufferPointer<Number>) -> Number
  ) {
    let (height, width) = (imageShape[1], imageShape[2])
    let corner = corners[index]
    for channel in 0..<imageShape[0] {
      let plane = image + channel * height * width
      let paint = mean(UnsafeBufferPointer(start: plane, count: height * width))
      for row in corner.row..<corner.row + side {
        (plane + row * width + corner.column).update(repeating: paint, count: side)
      }
    }
  }
}
