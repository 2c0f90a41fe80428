import Foundation
import NapTensor

/// A part of an image, of random area and shape at a random place, that is brought to the network's size: how
/// networks for large photographs are trained.
///
/// - Source: Szegedy et al. 2014, arXiv:1409.4842, section 6; as torchvision's `RandomResizedCrop` draws it.
package struct RandomCrop: Sendable {
  /// Of the image, at least.
  private let leastArea: Double
  private let seed: Seed

  init(leastArea: Float, seed: Seed) { (self.leastArea, self.seed) = (Double(leastArea), seed) }

  /// In pixels. The same seed gives the same part of an image.
  func box(width: Int, height: Int) -> (x: Int, y: Int, width: Int, height: Int) {
    var generator = seed.generator()
    func between(_ low: Double, _ high: Double) -> Double {
      low + (high - low) * Double(generator.uniform())
    }
    for _ in 0..<10 {
      let area = Double(width * height) * between(leastArea, 1)
      let ratio = exp(between(-log(4.0 / 3), log(4.0 / 3)))
      let w = Int((area * ratio).squareRoot().rounded())
      let h = Int((area / ratio).squareRoot().rounded())
      guard w > 0, h > 0, w <= width, h <= height else { continue }
      return (
        Int.random(in: 0...width - w, using: &generator),
        Int.random(in: 0...height - h, using: &generator), w, h
      )
    }
    // The middle, as long as shapes allow.
    let (w, h) = (min(width, max(1, height * 4 / 3)), min(height, max(1, width * 4 / 3)))
    return ((width - w) / 2, (height - h) / 2, w, h)
  }
}

extension DecodedImage {
  /// Writes a part of the image as three planes.
  func writePlanes(
    _ crop: RandomCrop, height newHeight: Int, width newWidth: Int,
    into planes: UnsafeMutablePointer<UInt8>
  ) {
    let box = crop.box(width: width, height: height)
    var part = [UInt8]()
    part.reserveCapacity(box.width * box.height * 3)
    for y in box.y..<box.y + box.height {
      part += pixels[(y * width + box.x) * 3..<(y * width + box.x + box.width) * 3]
    }
    DecodedImage(width: box.width, height: box.height, pixels: part)
      .resized(width: newWidth, height: newHeight)
      .writePlanes(ImageFit(height: newHeight, width: newWidth), into: planes)
  }
}
